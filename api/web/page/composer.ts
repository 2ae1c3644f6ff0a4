// Where one writes: Enter sends, Shift and Enter begin a line, and the arrow up in an
// empty one edits what was said last.

import { Completion } from './completion.ts'
import { byId, setAttribute, setText } from './element.ts'
import type { Message } from './protocol.ts'

const maxContent = 4000 // characters, as rooms take them
const warnFrom = 3600

export interface Writer {
  send(content: string): boolean
  edit(message: Message, content: string): boolean
  /** It is this message that is edited from now on, or none. */
  edits(message: Message | undefined): void
  /** Something was typed; whether something is there now. */
  typing(is: boolean): void
  /** The last message of one's own, to be edited. */
  last(): Message | undefined
  /** Whom one may want to mention. */
  candidates(): readonly string[]
  failed(error: string): void
}

export class Composer {
  private readonly input = byId<HTMLTextAreaElement>('composer')
  private readonly form = byId<HTMLFormElement>('compose')
  private readonly send = byId<HTMLButtonElement>('send')
  private readonly banner = byId('editing')
  private readonly left = byId('left')
  private readonly completion: Completion
  private room = ''
  private editing: Message | undefined
  private shift = false // of the key that was pressed last

  constructor(
    private readonly writer: Writer,
    private readonly drafts: { getItem(key: string): string | null; setItem(key: string, value: string): void },
    private readonly prefix: string, // of the drafts: they are a person's own
  ) {
    this.completion = new Completion(this.input, () => this.writer.candidates())
    this.input.oninput = () => this.changed(true)
    this.input.onclick = () => this.completion.update()
    this.input.onkeydown = (event) => this.pressed(event)
    this.input.onbeforeinput = (event) => this.breaksLine(event)
    this.form.onsubmit = (event) => {
      event.preventDefault()
      this.submit()
    }
    byId('editing-cancel').onclick = () => this.cancel()
  }

  focus(): void {
    this.input.focus()
  }

  /** Turns to a room; what was begun in the other waits there. */
  open(room: string): void {
    this.setEditing(undefined)
    this.room = room
    this.input.value = this.draft()
    this.setOpen(true, `Message #${room}`)
    this.changed(false)
  }

  /** Takes nothing for the room any more, which lets this person in no more. What was begun is still there, to be copied. */
  close(): void {
    this.stopEditing()
    this.completion.hide()
    this.setOpen(false, 'You cannot write here')
  }

  private setOpen(isOpen: boolean, placeholder: string): void {
    this.input.readOnly = this.send.disabled = !isOpen
    this.input.placeholder = placeholder
  }

  /** Begins to edit a message. */
  edit(message: Message): void {
    this.setEditing(message)
    this.input.value = message.content
    this.input.focus()
    this.input.setSelectionRange(message.content.length, message.content.length)
    this.changed(false)
  }

  /** Puts a mention at the cursor. */
  mention(user: string): void {
    const { selectionStart, selectionEnd, value } = this.input
    const space = selectionStart > 0 && !/\s$/.test(value.slice(0, selectionStart)) ? ' ' : ''
    this.input.setRangeText(`${space}@${user} `, selectionStart, selectionEnd, 'end')
    this.input.focus()
    this.changed(false)
  }

  private pressed(event: KeyboardEvent): void {
    this.shift = event.shiftKey
    if (event.isComposing || event.keyCode === 229) return // the key belongs to an input method
    if (this.completion.pressed(event)) return
    if (event.key === 'Escape' && this.editing) {
      event.preventDefault()
      this.cancel()
    } else if (event.key === 'ArrowUp' && this.input.value === '') {
      const last = this.writer.last()
      if (!last) return
      event.preventDefault()
      this.edit(last)
    }
  }

  /**
   * Enter, where it would begin a line. It is known by that, and not by its key: an input
   * method ends a word with it, and keyboards on a screen have no keys.
   */
  private breaksLine(event: InputEvent): void {
    if (event.inputType !== 'insertLineBreak' || this.shift) return
    event.preventDefault()
    if (!this.completion.accept()) this.submit()
  }

  private submit(): void {
    const content = this.input.value.trim()
    if (content === '') return
    if (content.length > maxContent) return this.writer.failed(`A message has ${maxContent} characters at most.`)
    const { editing } = this
    const taken = editing ? editing.content === content || this.writer.edit(editing, content) : this.writer.send(content)
    if (!taken) return
    if (editing) return this.cancel()
    this.input.value = ''
    this.changed(false)
    this.input.focus()
  }

  private cancel(): void {
    this.stopEditing()
    this.input.focus()
  }

  private stopEditing(): void {
    if (!this.editing) return
    this.setEditing(undefined)
    this.input.value = this.draft()
    this.changed(false)
  }

  private setEditing(message: Message | undefined): void {
    if (message === this.editing) return
    this.editing = message
    this.banner.hidden = message === undefined
    setAttribute(this.input, 'aria-describedby', message ? 'editing-what composer-help' : 'composer-help')
    setAttribute(this.send, 'aria-label', message ? 'Save' : 'Send')
    this.writer.edits(message)
  }

  private changed(byTyping: boolean): void {
    const { value } = this.input
    this.input.style.height = 'auto' // for browsers without field-sizing
    this.input.style.height = `${this.input.scrollHeight}px`
    if (this.input.selectionEnd === value.length) this.input.scrollTop = this.input.scrollHeight // the cursor is in sight
    const left = maxContent - value.length
    setText(this.left, value.length >= warnFrom ? String(left) : '')
    this.left.classList.toggle('over', left < 0)
    if (!this.editing) this.keepDraft(value)
    if (!byTyping) return this.completion.hide()
    this.completion.update()
    if (!this.editing) this.writer.typing(value !== '')
  }

  private draft(): string {
    return this.drafts.getItem(this.prefix + this.room) ?? ''
  }

  private keepDraft(value: string): void {
    this.drafts.setItem(this.prefix + this.room, value)
  }
}
