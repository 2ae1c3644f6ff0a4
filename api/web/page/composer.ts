// Where one writes: Enter sends, Shift and Enter begin a line, and the arrow up in an
// empty one edits what was said last.

import { Completion } from './completion.ts'
import type { Begun, Drafts } from './drafts.ts'
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
  /** A message as it is shown now, if it is there. */
  message(id: string): Message | undefined
  /** Whom one may want to mention. */
  candidates(): readonly string[]
  tell(text: string): void
}

export class Composer {
  private readonly input = byId<HTMLTextAreaElement>('composer')
  private readonly form = byId<HTMLFormElement>('compose')
  private readonly send = byId<HTMLButtonElement>('send')
  private readonly banner = byId('editing')
  private readonly what = byId('editing-what')
  private readonly left = byId('left')
  private readonly completion: Completion
  private room = ''
  private editing: Message | undefined
  private waiting: Begun | undefined // an edit that is taken up when its message is there
  private shift = false // of the key that was pressed last

  constructor(
    private readonly writer: Writer,
    private readonly drafts: Drafts,
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
    this.input.value = this.drafts.text(room)
    this.setOpen(true, `Message #${room}`)
    this.changed(false)
    this.waiting = this.drafts.edit(room)
    this.follow()
  }

  /** Looks at what has become of the message that is edited, here or in another window. */
  follow(): void {
    const { editing, waiting } = this
    const message = this.writer.message(editing?.$id ?? waiting?.message ?? '')
    if (!message) return
    const known = editing ?? { ...message, content: waiting!.content }
    if (!editing) this.begin(known, waiting!.text)
    if (message.deleted !== undefined) {
      this.drop(message)
      this.writer.tell('The message that you were editing was deleted.')
    } else if (message.content !== known.content) {
      if (this.input.value === known.content) this.input.value = message.content
      this.editing = message
      this.changed(false)
      setText(this.what, 'Editing your message, changed elsewhere')
      this.writer.tell('The message that you are editing was changed elsewhere.')
    }
  }

  /** Ends the edit of a message that is gone. What was written for it is left as a draft. */
  drop({ $id }: Message): void {
    const { editing, input: { value } } = this
    if (editing?.$id !== $id) return
    this.stopEditing()
    if (value.trim() === '' || value === editing.content) return
    this.input.value = this.input.value === '' ? value : `${this.input.value}\n${value}`
    this.changed(false)
  }

  /** Takes nothing for the room any more, which lets this person in no more. What was begun is still there, to be copied; an edit waits. */
  close(): void {
    this.setEditing(undefined)
    this.input.value = this.drafts.text(this.room)
    this.changed(false)
    this.setOpen(false, 'You cannot write here')
  }

  private setOpen(isOpen: boolean, placeholder: string): void {
    this.input.readOnly = this.send.disabled = !isOpen
    this.input.placeholder = placeholder
  }

  /** Begins to edit a message. */
  edit(message: Message): void {
    this.begin(message, message.content)
    this.input.focus()
    this.input.setSelectionRange(message.content.length, message.content.length)
  }

  private begin(message: Message, text: string): void {
    this.setEditing(message)
    this.input.value = text
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
    if (content.length > maxContent) return this.writer.tell(`A message has ${maxContent} characters at most.`)
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
    this.drafts.keepEdit(this.room, null)
    this.input.value = this.drafts.text(this.room)
    this.changed(false)
  }

  private setEditing(message: Message | undefined): void {
    this.waiting = undefined
    if (message === this.editing) return
    this.editing = message
    setText(this.what, 'Editing your message')
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
    const { editing } = this
    if (editing) this.drafts.keepEdit(this.room, { message: editing.$id, content: editing.content, text: value })
    else this.drafts.keepText(this.room, value)
    if (!byTyping) return this.completion.hide()
    this.waiting = undefined // what one writes now is not to be taken away
    this.completion.update()
    if (!editing) this.writer.typing(value !== '')
  }
}
