// The emoji to react with: a few that most people want, and any other.

import { byId, element } from './element.ts'

const common = ['👍', '❤️', '😂', '🎉', '🙏', '👀', '🔥', '✅', '😮', '😢', '🤔', '👏', '💯', '🚀', '☕', '👎']
const perLine = 8
const maxEmoji = 32 // UTF-16 units, as rooms take them

export class Picker {
  private readonly panel = byId('picker')
  private readonly grid = byId('picker-common')
  private readonly form = byId<HTMLFormElement>('picker-other')
  private readonly input = byId<HTMLInputElement>('picker-emoji')
  private pick: ((emoji: string) => void) | undefined
  private opener: HTMLElement | undefined
  private message = '' // of the opener

  constructor() {
    this.grid.append(...common.map((emoji) => element('button', { type: 'button', 'aria-label': emoji }, emoji)))
    this.grid.onclick = (event) => {
      const button = (event.target as Element).closest('button')
      if (button) this.done(button.textContent!)
    }
    this.grid.onkeydown = (event) => this.pressed(event)
    this.input.oninput = () => this.input.setCustomValidity('')
    this.form.onsubmit = (event) => {
      event.preventDefault()
      const emoji = this.input.value.trim()
      if (emoji !== '' && emoji.length <= maxEmoji && !/[\s\p{Cc}]/u.test(emoji)) return this.done(emoji)
      this.input.setCustomValidity('One emoji, or a short word without spaces')
      this.input.reportValidity()
    }
    this.panel.addEventListener('toggle', (event) => {
      if ((event as ToggleEvent).newState === 'open') this.grid.querySelector('button')?.focus()
      else if (!this.opener?.isConnected && this.panel.contains(document.activeElement)) this.back() // else the browser does
    })
  }

  /** Opens beside a button; pick gets what is chosen. */
  open(opener: HTMLElement, pick: (emoji: string) => void): void {
    this.pick = pick
    this.opener = opener
    this.message = opener.closest('article')?.dataset['id'] ?? ''
    this.form.reset()
    this.panel.showPopover()
    const at = opener.getBoundingClientRect()
    const { offsetWidth: width, offsetHeight: height } = this.panel
    const below = at.bottom + 6 + height < innerHeight
    this.panel.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`
    this.panel.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - height - 6)}px`
  }

  private done(emoji: string): void {
    this.panel.hidePopover()
    this.pick?.(emoji)
    this.back()
  }

  /** Goes back to the button that opened it, or to that which is in its place: its message may have been drawn anew. */
  private back(): void {
    const again = `[data-id="${CSS.escape(this.message)}"] [data-action="react"]`
    const button = this.opener?.isConnected ? this.opener : document.querySelector<HTMLElement>(again)
    button?.focus()
  }

  private pressed(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perLine, ArrowDown: perLine }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const buttons = [...this.grid.children] as HTMLElement[]
    buttons[buttons.indexOf(document.activeElement as HTMLElement) + step]?.focus()
  }
}
