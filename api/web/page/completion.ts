// The list of names that complete what is typed.

import { avatar } from './avatar.ts'
import { byId, element, setAttribute } from './element.ts'
import { fitting, markAt, type Mark } from './fitting.ts'

/** The list under the composer. The composer keeps the focus; what is chosen is said by aria-activedescendant. */
export class Completion {
  private readonly list = byId('completion')
  private names: readonly string[] = []
  private at = 0

  constructor(
    private readonly input: HTMLTextAreaElement,
    private readonly candidates: () => readonly string[],
  ) {
    this.list.onpointerdown = (event) => event.preventDefault() // the focus stays
    this.list.onclick = (event) => {
      const option = (event.target as Element).closest('li')
      if (option) this.take(option.dataset['user']!)
    }
    input.addEventListener('blur', () => this.hide())
    document.addEventListener('selectionchange', () => this.isOpen && this.update()) // the cursor may have left the name
  }

  get isOpen(): boolean {
    return !this.list.hidden
  }

  /** Shows what fits at the cursor. */
  update(): void {
    const mark = this.mark()
    const names = mark ? fitting(this.candidates(), mark.typed) : []
    if (String(names) !== String(this.names)) this.at = 0
    this.names = names
    this.show()
  }

  /** Handles a key, and reports whether it was one of the list's. */
  pressed(event: KeyboardEvent): boolean {
    if (!this.isOpen) return false
    const { key } = event
    if (key === 'ArrowDown' || key === 'ArrowUp') {
      this.at = (this.at + (key === 'ArrowDown' ? 1 : -1) + this.names.length) % this.names.length
      this.show()
    } else if (key === 'Tab' && !event.shiftKey) {
      if (!this.accept()) return false
    } else if (key === 'Escape') {
      this.hide()
    } else {
      return false
    }
    event.preventDefault()
    return true
  }

  /** Takes the name that is chosen, and reports whether one was. */
  accept(): boolean {
    const name = this.names[this.at]
    if (name !== undefined && this.mark()) {
      this.take(name)
      return true
    }
    this.hide()
    return false
  }

  hide(): void {
    this.names = []
    this.show()
  }

  private mark(): Mark | undefined {
    const { selectionStart, selectionEnd, value } = this.input
    return selectionStart === selectionEnd ? markAt(value, selectionStart) : undefined
  }

  private take(name: string): void {
    const mark = this.mark()
    if (mark) this.input.setRangeText(`@${name} `, mark.from, this.input.selectionEnd, 'end')
    this.hide()
    this.input.dispatchEvent(new Event('input', { bubbles: true }))
  }

  private show(): void {
    this.list.hidden = this.names.length === 0
    this.list.replaceChildren(...this.names.map((name, i) =>
      element('li', { role: 'option', id: `completion-${i}`, 'data-user': name, 'aria-selected': i === this.at }, avatar(name), element('bdi', { class: 'name' }, name))))
    setAttribute(this.input, 'aria-activedescendant', this.isOpen ? `completion-${this.at}` : null)
  }
}
