// The mentions of this person, from all rooms. The server keeps each until it is seen.

import { Connection, type Refusal } from './connection.ts'
import { readFrame, type InboxFrame, type Mention } from './protocol.ts'
import type { Server } from './server.ts'

export interface Notification {
  readonly id: string // greater than those before it
  readonly mention: Mention
  readonly seen: boolean
}

/** The position in its room at which it was made. */
export function positionOf({ at, message }: Mention): string {
  return at ?? message
}

const kept = 100 // notifications, the newest

export interface InboxListener {
  changed(): void
  arrived(notification: Notification): void
  /** What a mention said is so no more. */
  outdated(mention: Mention): void
  refused(why: Refusal, message: string): void
}

export class Inbox {
  /** The newest first. */
  notifications: readonly Notification[] = []
  readonly connection: Connection
  private seen = '' // that one and all before
  private before: readonly Notification[] = [] // the last connection: who knows what they say now

  constructor(
    server: Server,
    private readonly listener: InboxListener,
  ) {
    const user = encodeURIComponent(server.identity.user)
    this.connection = new Connection({
      open: () => server.open(`/users/${user}/inbox`),
      probe: () => server.ask('GET', `/users/${user}/rooms`),
      received: (data) => this.receive(data),
      changed: (state) => {
        if (state === 'open') this.begin()
      },
      refused: (why, message) => this.listener.refused(why, message),
    })
  }

  get unseen(): number {
    return this.notifications.filter((notification) => !notification.seen).length
  }

  /** Notes that all were seen. */
  seeAll(): void {
    if (this.unseen > 0) this.see(this.notifications[0]!.id)
  }

  /** Notes what was read in its room. The server is told as far as nothing before is unseen. */
  seeRead(isRead: (mention: Mention) => boolean): void {
    const read = this.notifications.filter(({ seen, mention }) => !seen && isRead(mention))
    if (read.length === 0) return
    this.notifications = this.notifications.map((notification) => (read.includes(notification) ? { ...notification, seen: true } : notification))
    const unseen = this.notifications.findLast(({ seen }) => !seen) // the oldest
    const last = this.notifications.find(({ id }) => !unseen || id < unseen.id)
    if (last && last.id > this.seen) this.see(last.id)
    else this.listener.changed()
  }

  private see(id: string): void {
    this.take(id)
    this.connection.send({ type: 'seen', id })
  }

  /** Shows of what was there before only what comes again: the rest was seen, or taken back meanwhile. */
  private begin(): void {
    this.before = [...this.notifications, ...this.before].slice(0, kept)
    this.notifications = []
    if (this.seen !== '') this.connection.send({ type: 'seen', id: this.seen })
    this.listener.changed()
  }

  private receive(data: unknown): void {
    const frame = readFrame<InboxFrame>(data)
    if (frame?.type === 'seen') return this.take(frame.id)
    if (frame?.type === 'amend') return this.amend(frame.id, frame.notification)
    if (frame?.type !== 'notification' || frame.notification?.type !== 'mention') return
    const { id, notification: mention } = frame
    if (this.notifications.some((notification) => notification.id === id)) return
    const known = this.before.find((notification) => notification.id === id)
    const notification = { id, mention, seen: known?.seen || id <= this.seen }
    this.notifications = [...this.notifications, notification].sort((a, b) => (a.id > b.id ? -1 : 1)).slice(0, kept)
    if (known && known.mention.content !== mention.content) this.listener.outdated(known.mention)
    if (!known && !notification.seen) this.listener.arrived(notification)
    this.listener.changed()
  }

  /** Takes a mention as it is now, or takes it back, if it is here. */
  private amend(amended: string, mention: Mention | null): void {
    const known = this.notifications.find(({ id }) => id === amended)
    if (!known) return
    if (mention) this.notifications = this.notifications.map((notification) => (notification === known ? { ...known, mention } : notification))
    else this.notifications = this.notifications.filter((notification) => notification !== known)
    this.listener.outdated(known.mention)
    this.listener.changed()
  }

  private take(id: string): void {
    if (id <= this.seen) return
    this.seen = id
    this.notifications = this.notifications.map((notification) => (notification.id <= id ? { ...notification, seen: true } : notification))
    this.listener.changed()
  }
}
