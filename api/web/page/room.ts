// A room that this person has joined: its socket, and all that the page knows of it.
// Rooms that are not looked at have one too: it costs the server next to nothing, and
// tells at once what is new.

import { Connection, type Refusal } from './connection.ts'
import { readPage } from './history.ts'
import type { Entry, Outbox } from './outbox.ts'
import { OwnTyping, Presence, Typing } from './presence.ts'
import { isMessage, readFrame, type Message, type Request, type RoomFrame, type Welcome, type WhoIsHere } from './protocol.ts'
import type { Server } from './server.ts'
import { Timeline } from './timeline.ts'

/** What changed, so that no more is drawn again than that. */
export type Change = 'messages' | 'people' | 'typing' | 'unread' | 'connection' | 'loading'

export interface Listener {
  changed(room: Room, what: Change): void
  /** A message of somebody else has come, just now. */
  arrived(room: Room, message: Message): void
  /** Something went wrong that is about no message which is shown. */
  failed(room: Room, error: string): void
  /** The room lets this person in no more. */
  refused(room: Room, why: Refusal): void
  /** Whether the person looks at the newest messages of the room. */
  isLookedAt(room: Room): boolean
}

const firstPage = 50
const furtherPage = 100 // messages; the most that the history gives at once
const keptUnseen = 200 // messages of a room that nobody looks at
const readAfter = 400 // ms: how far one has read is told once for several messages
const manyUnread = 100 // a room counts no further
const namedPeople = 200 // that are asked for
const answerWithin = 12_000 // ms, or the socket is taken for dead

export class Room {
  readonly timeline = new Timeline()
  readonly presence = new Presence()
  readonly typing = new Typing()
  readonly ownTyping = new OwnTyping(() => this.connection.send({ type: 'typing' }))
  readonly connection: Connection
  unread = 0
  read = '' // the position up to which this person has read; '' if the room knows none
  isPrivate = false
  isOpen = false // on the screen
  newAfter: string | undefined // where the messages begin that were new
  loading: 'no' | 'yes' | 'failed' = 'no'
  greeted = false // the room has said welcome once
  stretch = 0 // counts how often the timeline began anew
  returns = 0 // counts what was missed and is new
  missing = 0 // frames with what was missed that are still to come
  refusal = '' // why it lets this person in no more

  private isWelcome = false // the room has said so on this socket; then all that waits is sent
  private position: string | undefined // the newest that came
  private counted = '' // up to here the room itself has counted what is unread
  private meanwhile: Message[] = [] // changes that came while a page was on its way
  private isAsking = false // who is here
  private readTimer: number | undefined
  private answerTimer: number | undefined
  private retryTimer: number | undefined
  private isParting = false

  constructor(
    readonly name: string,
    readonly me: string,
    private readonly server: Server,
    private readonly outbox: Outbox,
    private readonly listener: Listener,
    private readonly wasJoined: boolean, // before: what was said since then is new, even if nothing was read yet
  ) {
    const address = encodeURIComponent(name)
    this.connection = new Connection({
      open: () => server.open(`/ws/${address}`, { since: this.position }),
      probe: () => server.ask('GET', `/rooms/${address}/presence`, { limit: 1 }),
      received: (data) => this.receive(data),
      changed: (state) => {
        if (state !== 'open') this.isWelcome = false
        if (state === 'connecting') this.missing = 0
        this.listener.changed(this, 'connection')
      },
      refused: (why, message) => {
        this.refusal = message
        this.presence.clear()
        if (this.isParting) this.discardAll()
        this.listener.refused(this, why)
      },
    })
  }

  /** What of this room waits in the outbox. */
  get entries(): readonly Entry[] {
    return this.outbox.of(this.name)
  }

  /** Shows the room: from where this person has read, what follows is new. */
  open(): void {
    this.isOpen = true
    this.newAfter = this.unread > 0 ? this.read : undefined
    if (this.greeted && this.timeline.messages.length < firstPage) void this.loadOlder()
  }

  leave(): void {
    this.isOpen = false
    this.newAfter = undefined
    this.timeline.trim(keptUnseen)
  }

  /**
   * Asks something of the room, now or when it is there again; if it is held, so many ms
   * later, unless it is discarded until then. undefined if there is no room for it in the outbox.
   */
  ask(request: Request, held?: number): Entry | undefined {
    const now = Date.now()
    const entry = this.outbox.add(this.name, request, now, held === undefined ? undefined : now + held)
    if (!entry) return undefined
    if (request.type === 'message') {
      this.newAfter = undefined
      this.ownTyping.stop()
    }
    this.send(entry)
    this.listener.changed(this, 'messages')
    return entry
  }

  /** Sends what is held, and tells how far one has read: the page is about to go. */
  hasten(): void {
    if (this.readTimer !== undefined) this.tellRead()
    for (const entry of this.outbox.waiting(this.name)) if (entry.due !== undefined) this.send({ ...entry, due: undefined })
  }

  /** Sends again what failed. */
  retry(id: string): void {
    const entry = this.outbox.retry(id)
    if (entry) this.send(entry)
    this.listener.changed(this, 'messages')
  }

  /** Gives up what failed. */
  discard(id: string): void {
    this.outbox.remove(id)
    this.listener.changed(this, 'messages')
  }

  /** Notes that everything was read, and tells the person's other windows. */
  markRead(): void {
    const at = this.position ?? ''
    if (at <= this.read) return
    this.read = at
    this.setUnread(0)
    this.readTimer ??= setTimeout(() => this.tellRead(), readAfter)
  }

  /**
   * Loads what was said before. It reports whether something came; where it fails,
   * loading says so, and it may be called again.
   */
  async loadOlder(): Promise<boolean> {
    if (!this.greeted || this.loading === 'yes' || this.timeline.complete) return false // before the welcome, something might come in between
    const stretch = this.stretch
    const { oldest } = this.timeline
    this.setLoading('yes')
    this.meanwhile = []
    try {
      const limit = oldest ? furtherPage : firstPage
      const page = await readPage(this.server, this.name, oldest?.$id, limit)
      if (stretch !== this.stretch) return false
      this.timeline.addOlder(page.messages, page.isLast)
      for (const message of this.meanwhile) this.timeline.change(message)
      this.listener.changed(this, 'messages')
      this.setLoading('no')
      return page.messages.length > 0
    } catch {
      if (stretch === this.stretch) this.setLoading('failed')
      return false
    }
  }

  /** Ends the room when all that was asked of it is done. What failed is given up. */
  part(): void {
    this.isParting = true
    for (const entry of this.entries) if (entry.error !== undefined) this.outbox.remove(entry.id)
    this.hasten()
    this.endIfDone()
  }

  end(): void {
    clearTimeout(this.readTimer)
    clearTimeout(this.answerTimer)
    clearTimeout(this.retryTimer)
    this.ownTyping.stop()
    this.connection.end()
  }

  private receive(data: unknown): void {
    const frame = readFrame<RoomFrame>(data)
    if (!frame) return
    clearTimeout(this.answerTimer)
    this.answerTimer = undefined
    const wasMissed = this.missing > 0 && (frame.type === 'message' || frame.type === 'change' || frame.type === 'gap')
    if (wasMissed) this.missing--
    switch (frame.type) {
      case 'welcome':
        return this.welcome(frame)
      case 'message':
        return isMessage(frame.message) ? this.takeMessage(frame.message, wasMissed) : undefined
      case 'change':
        this.reach(frame.at)
        return isMessage(frame.message) ? this.takeChange(frame.message) : undefined
      case 'ack':
        this.outbox.remove(frame.id)
        if (isMessage(frame.message)) this.takeChange(frame.message)
        this.endIfDone()
        return this.listener.changed(this, 'messages')
      case 'error':
        this.takeError(frame)
        return this.endIfDone()
      case 'gap':
        return this.beginAnew(frame.latest)
      case 'presence':
        this.presence.change(frame)
        if (this.presence.isStale) void this.askWhoIsHere()
        for (const user of frame.left) this.typing.stop(user)
        return this.listener.changed(this, 'people')
      case 'typing':
        if (frame.user === this.me) return
        this.typing.note(frame.user, Date.now())
        return this.listener.changed(this, 'typing')
      case 'read':
        return this.takeRead(frame.at)
    }
  }

  /** Asks who is here, at most once at a time. Where that fails, the next frame has it asked again. */
  private async askWhoIsHere(): Promise<void> {
    if (this.isAsking) return
    this.isAsking = true
    try {
      const { users, count } = await this.server.ask<WhoIsHere>('GET', `/rooms/${encodeURIComponent(this.name)}/presence`, { limit: namedPeople })
      this.presence.answer(users.map(({ user }) => user), count)
      this.listener.changed(this, 'people')
    } catch {
      // then those are shown who were here
    } finally {
      this.isAsking = false
    }
  }

  private welcome(frame: Welcome): void {
    const read = frame.read ?? ''
    this.presence.welcome(frame)
    this.isPrivate = frame.private === true
    this.counted = frame.latest ?? ''
    this.position ??= this.counted
    this.isWelcome = true
    const isFirst = !this.greeted
    const wasUnread = this.unread
    this.greeted = true
    this.missing = frame.missed ?? 0
    if (read === '' && isFirst && !this.wasJoined) this.read = this.counted // nothing is new to who has never been here
    if (read > this.read) this.read = read
    if (!isFirst && (this.read > read || read === '')) { // the room could not be told: what was missed is counted as it comes
      this.counted = this.position
      this.setUnread(this.unreadAfter(this.read))
    } else if (read !== '') this.setUnread(frame.unread ?? 0)
    else if (isFirst && this.read === '') void this.countUnread()
    if (this.read > read) this.tellRead()
    if (isFirst && this.isOpen) {
      this.newAfter = this.unread > 0 ? this.read : undefined
      void this.loadOlder()
    }
    if (!isFirst && this.isOpen && wasUnread === 0 && this.unread > 0) this.newAfter = this.read
    if (this.isOpen && this.loading === 'failed') void this.loadOlder()
    for (const entry of this.outbox.waiting(this.name)) this.send(entry)
    this.endIfDone()
    this.listener.changed(this, 'people')
    this.listener.changed(this, 'messages')
  }

  /** Counts what is unread among the newest, where the room could not; so many, if that is all of them. */
  private async countUnread(ifAll = 0): Promise<void> {
    await this.loadOlder()
    const { oldest } = this.timeline
    this.setUnread(Math.max(this.unread, this.unreadAfter(this.read), oldest && oldest.$id > this.read ? ifAll : 0))
  }

  private unreadAfter(position: string): number {
    return this.timeline.messages.filter((message) => message.$id > position && message.author !== this.me && message.deleted === undefined).length
  }

  private takeMessage(message: Message, wasMissed: boolean): void {
    const isNew = this.timeline.put(message)
    this.reach(message.$id)
    this.typing.stop(message.author)
    if (!this.isOpen) this.timeline.trim(keptUnseen)
    if (isNew && message.author !== this.me && message.$id > this.read) {
      if (wasMissed) this.returns++
      if (!wasMissed && this.unread === 0 && this.listener.isLookedAt(this)) this.markRead() // else it is when it was drawn
      else {
        if (this.unread === 0) this.newAfter = this.isOpen ? this.read : undefined
        if (message.$id > this.counted) this.setUnread(this.unread + 1)
      }
      this.listener.arrived(this, message)
    }
    this.listener.changed(this, 'messages')
    this.listener.changed(this, 'typing')
  }

  private takeChange(message: Message): void {
    this.timeline.change(message)
    if (this.loading === 'yes') this.meanwhile.push(message)
    this.listener.changed(this, 'messages')
  }

  private takeError(frame: RoomFrame & { type: 'error' }): void {
    const entry = frame.id === undefined ? undefined : this.outbox.get(frame.id)
    if (frame.retryAfter !== undefined) {
      this.retryTimer ??= setTimeout(() => this.sendAll(), frame.retryAfter * 1000)
    } else if (!entry) {
      return // about something that nobody waits for
    } else if (entry.request.type !== 'react' && !this.isParting) {
      this.outbox.fail(entry.id, frame.error)
      this.listener.changed(this, 'messages')
    } else {
      this.outbox.remove(entry.id)
      this.listener.failed(this, frame.error)
      this.listener.changed(this, 'messages')
    }
  }

  /** Too much was missed, or the history is another one: what is here is not what comes before what comes now. */
  private beginAnew(latest: string | null): void {
    this.timeline.clear()
    this.stretch++
    this.loading = 'no'
    this.position = latest ?? ''
    this.newAfter = this.isOpen ? this.read : undefined
    if (this.isOpen) void this.countUnread(manyUnread)
    this.listener.changed(this, 'messages')
  }

  private takeRead(at: string): void {
    if (at <= this.read) return
    this.read = at
    this.setUnread(Math.min(this.unreadAfter(at), this.unread))
    this.listener.changed(this, 'messages')
  }

  private reach(position: string): void {
    if (this.position === undefined || position > this.position) this.position = position
  }

  private endIfDone(): void {
    if (this.isParting && this.outbox.waiting(this.name).length === 0) this.end()
  }

  private discardAll(): void {
    for (const entry of this.entries) this.outbox.remove(entry.id)
  }

  private sendAll(): void {
    this.retryTimer = undefined
    for (const entry of this.outbox.waiting(this.name)) this.send(entry)
    this.tellRead()
  }

  private send(entry: Entry): void {
    const held = this.isParting ? 0 : (entry.due ?? 0) - Date.now()
    if (held > 0) {
      setTimeout(() => this.outbox.get(entry.id) && this.send(entry), held + 1)
      return
    }
    if (!this.isWelcome || !this.connection.send({ ...entry.request, id: entry.id })) return // it is sent when the room is back
    this.answerTimer ??= setTimeout(() => this.connection.suspect(), answerWithin)
  }

  private tellRead(): void {
    clearTimeout(this.readTimer)
    this.readTimer = undefined
    if (this.read !== '') this.connection.send({ type: 'read', at: this.read })
  }

  private setUnread(count: number): void {
    if (count === this.unread) return
    this.unread = count
    this.listener.changed(this, 'unread')
  }

  private setLoading(loading: Room['loading']): void {
    this.loading = loading
    this.listener.changed(this, 'loading')
  }
}
