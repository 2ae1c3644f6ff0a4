// The rooms and the people on a narrow screen: they come in from the side, have the
// focus while they are there, and go by Escape or a touch beside them.

import { byId, element, setAttribute } from './element.ts'

export class Drawer {
  private readonly panel: HTMLElement
  private readonly toggle: HTMLElement
  private readonly narrow: MediaQueryList

  /** narrow is the media query under which the panel is a drawer. */
  constructor(panel: string, toggle: string, narrow: string) {
    this.panel = byId(panel)
    this.toggle = byId(toggle)
    this.narrow = matchMedia(narrow)
    this.toggle.onclick = () => (this.isOpen ? this.close() : this.open())
    const close = element('button', { type: 'button', class: 'close', 'aria-label': 'Close', title: 'Close' }, '×')
    close.onclick = () => this.close()
    this.panel.append(close)
    this.panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.isOpen) this.close()
    })
    byId('shade').addEventListener('click', () => this.close())
    this.narrow.onchange = () => this.close()
    this.show(false)
  }

  get isOpen(): boolean {
    return this.panel.classList.contains('open')
  }

  open(): void {
    this.show(true)
    this.panel.querySelector<HTMLElement>('[aria-current], a, button, input')?.focus()
  }

  close(): void {
    if (!this.isOpen) return this.show(false)
    const had = this.panel.contains(document.activeElement)
    this.show(false)
    if (had) this.toggle.focus()
  }

  private show(open: boolean): void {
    this.panel.classList.toggle('open', open)
    this.panel.inert = this.narrow.matches && !open
    setAttribute(this.toggle, 'aria-expanded', open)
    if (this.narrow.matches) byId('main').inert = open
    else byId('main').inert = false
    byId('shade').hidden = !open
  }
}
