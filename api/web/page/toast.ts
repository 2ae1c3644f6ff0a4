// What the page has to say of itself, for a while.

import { byId, element, setText } from './element.ts'

/** Something to do about what is said. */
export interface Offer {
  readonly name: string
  readonly take: () => void
  /** Whether it has the focus at once; leave is called when it is gone with it. */
  readonly focus: boolean
  readonly leave: () => void
}

export class Toast {
  private readonly place = byId('toast')
  private timer: number | undefined
  private left: (() => void) | undefined // what is done when it goes and has the focus

  /** Shows a text for so many ms, with a button if there is something to do about it. */
  show(text: string, shownFor: number, offer?: Offer): void {
    clearTimeout(this.timer)
    setText(this.place, text)
    this.place.hidden = false
    this.left = offer?.leave
    if (offer) {
      const button = element('button', { type: 'button' }, offer.name)
      button.onclick = () => {
        offer.take()
        this.hide()
      }
      this.place.append(button)
      if (offer.focus) button.focus()
    }
    this.timer = setTimeout(() => this.hide(), shownFor)
  }

  /** Takes back what is shown: its time is over, or it is about another room. */
  hide(): void {
    clearTimeout(this.timer)
    const hasFocus = this.place.contains(document.activeElement)
    this.place.hidden = true
    if (hasFocus) this.left?.()
  }
}
