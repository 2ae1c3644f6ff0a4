// The messages of the open room, and where in them the reader is.
//
// Whatever is added or changed, what the reader looks at stays where it is; and who is
// at the end stays at the end, but for who was away: they are where the new ones begin.

import { dayName } from './day.ts'
import { byId, element, setAttribute, setText } from './element.ts'
import { drawMessage, makeCurrent, makeMessage, type Action } from './message.ts'
import type { Message } from './protocol.ts'
import type { Room } from './room.ts'
import { rowsOf, type MessageRow, type Row } from './rows.ts'

const atEnd = 48 // px from the end that still count as the end
const context = 120 // px above the first new message that are shown too
const loadWithin = 1200 // px from the beginning: that is where more is loaded
const kept = 600 // messages, while the reader is at the end
const keptHidden = 1200 // of a window that nobody sees, which waits where the new ones begin
const searched = 150 // messages that are loaded at once to find where the new ones begin
const patience = 3000 // ms that a message may be on its way before it is said that it waits
const maxSearch = 60 // pages that are read to find a message

const thisYear = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' })
const anyYear = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })

interface Drawn {
  readonly node: HTMLElement
  row: Row
}

export interface Reader {
  /** A button of a message was pressed. */
  act(action: Action, row: MessageRow, button: HTMLElement): void
  react(message: Message, emoji: string, on: boolean): void
  /** The reader has come to the end, or left it. */
  moved(): void
  /** The reader tries again to get into the room, or gives it up. */
  enter(): void
  quit(): void
  /** The reader goes back to write. */
  leave(): void
}

export class Messages {
  private readonly log = byId('messages')
  private readonly jump = byId('jump')
  private readonly notice = element('div', { class: 'notice' })
  private room: Room | undefined
  private drawn = new Map<string, Drawn>()
  private isAtEnd = true
  private isFresh = false // the room was opened or is back, and where its new messages begin was not shown yet
  private isGoing = false // to the end, smoothly
  private stretch = 0 // of the room, when it was drawn last
  private returns = 0
  private place: { readonly article: HTMLElement; readonly top: number } | undefined // what is looked at, and where it is
  private width = 0
  private height = 0
  private waitTimer: number | undefined
  private edited = '' // the $id of the message that is being edited
  private current: HTMLElement | undefined // the message at which Tab stops, if it is not the newest

  constructor(private readonly reader: Reader) {
    this.log.onscroll = () => this.scrolled()
    this.log.onclick = (event) => this.clicked(event)
    this.log.onkeydown = (event) => this.pressed(event)
    this.log.onscrollend = () => this.arrived()
    for (const gesture of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
      this.log.addEventListener(gesture, () => this.taken(), { passive: true })
    }
    this.jump.onclick = () => {
      this.toEnd(true)
      this.reader.moved()
    }
    new ResizeObserver(() => this.resized()).observe(this.log)
  }

  /** Whether the newest messages are on the screen, and all that is new was. */
  get showsEnd(): boolean {
    const { room } = this
    if (!room || !this.isAtEnd) return false
    return room.newAfter === undefined || !(this.isFresh || isCatchingUp(room, this.returns))
  }

  /** Shows another room, at its end, or where its new messages begin. */
  open(room: Room): void {
    this.room = room
    this.drawn.clear()
    this.current = this.place = undefined
    this.log.replaceChildren(this.notice)
    this.begin(room)
    setAttribute(this.log, 'aria-label', `Messages in ${room.name}`)
    this.show()
  }

  /** Goes to the end, or to where the new messages begin as soon as that is there. */
  private begin(room: Room): void {
    this.isAtEnd = this.isFresh = true
    this.isGoing = false
    this.stretch = room.stretch
    this.returns = room.returns
  }

  /** Draws what has changed. */
  show(): void {
    const { room } = this
    if (!room) return
    if (room.stretch !== this.stretch) this.begin(room)
    if (this.isAtEnd && room.unread > 0 && (isCatchingUp(room, this.returns) || document.hidden)) this.isFresh = true
    this.returns = room.returns
    if (this.isAtEnd || (document.hidden && room.timeline.messages.length > keptHidden)) room.timeline.trim(kept)
    const rows = rowsOf({ messages: room.timeline.messages, entries: room.entries, room: room.name, me: room.me, newAfter: room.newAfter, waitsFrom: this.waitsFrom(room) })
    this.keepingPlace(() => {
      this.draw(room.refusal === '' ? rows : [])
      this.drawNotice(room)
    })
    if (this.isFresh) this.toNew(room)
    this.note()
    this.showJump()
    this.loadIfNear()
  }

  /** What was asked up to then waits. What is on its way will, if nothing comes of it. */
  private waitsFrom(room: Room): number {
    clearTimeout(this.waitTimer)
    if (room.connection.state !== 'open') return Infinity
    const now = Date.now()
    const next = room.entries.find(({ at }) => at > now - patience) // they are in order
    if (next) this.waitTimer = setTimeout(() => this.show(), next.at + patience - now + 1)
    return now - patience
  }

  showNotice(): void {
    const { room } = this
    if (room) this.keepingPlace(() => this.drawNotice(room))
  }

  private drawNotice(room: Room): void {
    const { complete, messages } = room.timeline
    const isEmpty = messages.length === 0 && room.entries.length === 0
    const text = room.refusal !== '' ? room.refusal
      : room.loading === 'failed' ? 'Earlier messages could not be loaded.'
      : complete && isEmpty ? 'Nobody has said anything here yet. Say hello!'
      : complete ? 'This is where it begins.'
      : 'Loading…'
    const title = complete && room.refusal === '' && room.loading !== 'failed' ? `#${room.name}` : ''
    if (this.notice.dataset['text'] === title + text) return
    setAttribute(this.notice, 'data-text', title + text)
    this.notice.replaceChildren(element('p', { class: 'title' }, title), element('p', {}, text))
    const button = (action: string, name: string) => element('button', { type: 'button', 'data-notice': action }, name)
    if (room.refusal !== '') this.notice.append(button('enter', 'Try again'), button('quit', 'Leave the room'))
    else if (room.loading === 'failed') this.notice.append(button('load', 'Try again'))
    setAttribute(this.notice, 'class', complete ? 'notice beginning' : 'notice')
  }

  /** Begins where the new messages do, if there are more of them than fit. */
  private toNew({ timeline, newAfter, missing }: Room): void {
    const { oldest, complete, messages } = timeline
    const mayComeYet = oldest === undefined || (newAfter !== undefined && newAfter < oldest.$id && messages.length < searched)
    this.isFresh = missing > 0 || (mayComeYet && !complete)
    const mark = this.drawn.get('new')?.node
    const above = mark ? this.log.getBoundingClientRect().top + context - mark.getBoundingClientRect().top : 0
    if (above <= 0) return
    this.log.scrollTop -= above
    this.isAtEnd = false
  }

  toEnd(smoothly = false): void {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
    this.isGoing = smoothly && !calm
    this.log.scrollTo({ top: this.log.scrollHeight, behavior: this.isGoing ? 'smooth' : 'instant' })
    this.isAtEnd = true
    this.isFresh = false
    this.showJump()
  }

  /** The reader moves by themselves now. */
  private taken(): void {
    this.isGoing = this.isFresh = false
  }

  private arrived(): void {
    if (!this.isGoing) return
    this.isGoing = false
    this.scrolled()
  }

  /** Marks the message that is being edited, and brings it onto the screen. */
  mark(message: Message | undefined): void {
    this.edited = message?.$id ?? ''
    for (const { node, row } of this.drawn.values()) {
      if (row.kind === 'message' && this.showEdited(node, row)) node.scrollIntoView({ block: 'nearest' })
    }
  }

  private showEdited(article: HTMLElement, { message }: MessageRow): boolean {
    const is = this.edited !== '' && message.$id === this.edited
    setAttribute(article, 'data-editing', is)
    return is
  }

  /** Brings a message onto the screen, from however far back. It reports whether it was found. */
  async find(id: string): Promise<boolean> {
    const { room } = this
    if (!room) return false
    for (let page = 0; page < maxSearch && !room.timeline.get(id); page++) {
      while (this.room === room && room.refusal === '' && (!room.greeted || room.loading === 'yes')) await new Promise((resume) => setTimeout(resume, 20))
      const { oldest, complete } = room.timeline
      if (this.room !== room || complete || (oldest && oldest.$id < id)) break
      if (!(await room.loadOlder())) break
    }
    if (this.room !== room) return true // it is not looked for any more
    this.show()
    const article = this.log.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)
    if (!article) return false
    this.isAtEnd = false
    article.scrollIntoView({ block: 'center' })
    this.focus(article)
    article.classList.add('found')
    setTimeout(() => article.classList.remove('found'), 2500)
    return true
  }

  /** The last message of this person's own that can be edited. */
  lastOwn(): MessageRow | undefined {
    const rows = [...this.drawn.values()].map(({ row }) => row).filter((row) => row.kind === 'message')
    return rows.sort((a, b) => (a.message.$id < b.message.$id ? -1 : 1)).findLast(({ message, state }) =>
      message.author === this.room?.me && message.$id !== '' && message.deleted === undefined && state !== 'failed')
  }

  private draw(rows: readonly Row[]): void {
    const before = this.drawn
    this.drawn = new Map()
    let next: Element | null = this.notice.nextElementSibling
    for (const row of rows) {
      const known = before.get(row.key)
      const drawn = known ?? { node: this.make(row), row }
      before.delete(row.key)
      this.drawn.set(row.key, drawn)
      if (row.kind === 'message' && (!known || !isSame(known.row, row))) drawMessage(drawn.node, row, this.room!.me)
      if (row.kind === 'message') this.showEdited(drawn.node, row)
      if (row.kind === 'day') this.nameDay(drawn.node, row.day) // tomorrow it has another name
      drawn.row = row
      if (next === drawn.node) next = next.nextElementSibling
      else this.log.insertBefore(drawn.node, next)
    }
    for (const { node } of before.values()) node.remove()
    this.setCurrent(this.current?.isConnected ? this.current : undefined)
  }

  private make(row: Row): HTMLElement {
    if (row.kind === 'message') return makeMessage()
    if (row.kind === 'new') return element('div', { class: 'new', role: 'separator', 'aria-label': 'New messages' }, element('span', {}, 'New'))
    return element('div', { class: 'day', 'data-day': row.day, role: 'separator' }, element('span'))
  }

  private nameDay(node: HTMLElement, day: string): void {
    const now = new Date()
    const name = dayName(day, now, (date) => (date.getFullYear() === now.getFullYear() ? thisYear : anyYear).format(date))
    setAttribute(node, 'aria-label', name)
    setText(node.firstElementChild!, name)
  }

  /** Changes the list while what the reader looks at stays where it is on the screen. */
  private keepingPlace(change: () => void): void {
    if (!this.isAtEnd) this.note()
    change()
    this.keepPlace()
  }

  private keepPlace(): void {
    const { log, place } = this
    if (this.isAtEnd) log.scrollTop = log.scrollHeight
    else if (place?.article.isConnected) log.scrollTop += this.topOf(place.article) - place.top
    this.width = log.clientWidth
    this.height = log.clientHeight
  }

  /** Notes what is looked at: the first message that is in sight. */
  private note(): void {
    const articles = this.log.querySelectorAll('article')
    let low = 0
    let high = articles.length
    while (low < high) {
      const middle = (low + high) >> 1
      const article = articles[middle]!
      if (this.topOf(article) + article.offsetHeight > 0) high = middle
      else low = middle + 1
    }
    const article = articles[low]
    this.place = article && { article, top: this.topOf(article) }
  }

  private topOf(article: HTMLElement): number {
    return article.getBoundingClientRect().top - this.log.getBoundingClientRect().top
  }

  private scrolled(): void {
    const { log } = this
    if (log.clientHeight !== this.height || log.clientWidth !== this.width || this.isGoing) return // it is being resized, not scrolled
    this.note()
    const was = this.isAtEnd
    this.isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < atEnd
    this.showJump()
    if (was !== this.isAtEnd) this.reader.moved()
    this.loadIfNear()
  }

  private resized(): void {
    this.keepPlace()
    this.note()
    this.loadIfNear()
  }

  private loadIfNear(): void {
    const { room } = this
    if (room?.greeted && room.loading === 'no' && !room.timeline.complete && this.log.scrollTop < loadWithin) void room.loadOlder()
  }

  private showJump(): void {
    const unread = this.room?.unread ?? 0
    this.jump.hidden = this.isAtEnd
    setText(this.jump, unread > 0 ? `${unread} new ↓` : 'Newest ↓')
  }

  private clicked(event: MouseEvent): void {
    const target = event.target as Element
    const button = target.closest('button')
    switch (button?.dataset['notice']) {
      case 'load':
        return void this.room?.loadOlder()
      case 'enter':
        return this.reader.enter()
      case 'quit':
        return this.reader.quit()
    }
    const article = target.closest('article')
    const row = this.rowOf(article)
    if (!row || !article) return
    if (!button) {
      if (target.closest('a, pre') || !getSelection()?.isCollapsed) return
      this.setCurrent(article)
      if ((event as PointerEvent).pointerType === 'touch') article.focus({ preventScroll: true }) // shows what can be done with it
      return
    }
    const { emoji, action } = button.dataset
    if (emoji !== undefined) this.reader.react(row.message, emoji, button.getAttribute('aria-pressed') !== 'true')
    else if (action) this.reader.act(action as Action, row, button)
  }

  private rowOf(article: Element | null): MessageRow | undefined {
    for (const { node, row } of this.drawn.values()) if (node === article && row.kind === 'message') return row
    return undefined
  }

  /** Up and down go from message to message; what can be done with one is behind Tab. */
  private pressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const target = event.target as HTMLElement
    if (event.key === 'Escape') return this.reader.leave()
    if (target.closest('pre') || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown' && event.key !== 'Home' && event.key !== 'End')) return
    const articles = [...this.log.querySelectorAll('article')]
    const at = articles.indexOf(target.closest('article')!)
    if (at < 0 && event.key !== 'ArrowUp') return // the list scrolls
    const to = event.key === 'Home' ? 0 : event.key === 'End' || at < 0 ? articles.length - 1 : at + (event.key === 'ArrowUp' ? -1 : 1)
    const article = articles[to]
    event.preventDefault()
    if (article) this.focus(article)
    else if (to >= articles.length) this.reader.leave()
  }

  private focus(article: HTMLElement): void {
    this.setCurrent(article)
    article.focus({ preventScroll: true })
    article.scrollIntoView({ block: 'nearest' })
  }

  /** Tab stops at one message: that which was looked at last, or the newest. */
  private setCurrent(article: HTMLElement | undefined): void {
    this.current = article
    const now = article ?? [...this.log.querySelectorAll('article')].at(-1)
    for (const other of this.log.querySelectorAll<HTMLElement>('article[tabindex="0"]')) if (other !== now) makeCurrent(other, false)
    if (now && now.tabIndex !== 0) makeCurrent(now, true)
  }
}

/** Whether some of what was missed is not drawn yet. */
function isCatchingUp({ missing, returns }: Room, drawn: number): boolean {
  return missing > 0 || returns !== drawn
}

function isSame(a: Row, b: MessageRow): boolean {
  return a.kind === 'message' && a.state === b.state && a.waits === b.waits && a.follows === b.follows && a.entry === b.entry
    && (a.message === b.message || (b.message.$id === '' && a.message.$id === ''))
}
