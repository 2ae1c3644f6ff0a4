// Who is here: people, not sockets.

import type { RoomFrame, Welcome } from './protocol.ts'

/** Who is in a room, as it told: of a crowd that comes or leaves, it doesn't name all. */
export class Presence {
  users: readonly string[] = []
  count = 0

  /** Takes what the room says at the beginning. Until it says so, those that were here still are. */
  welcome(frame: Welcome): void {
    this.set(new Set([...frame.users, frame.user]), frame.count)
  }

  change(frame: RoomFrame & { type: 'presence' }): void {
    const users = new Set(this.users)
    for (const user of frame.left) users.delete(user)
    for (const user of frame.joined) users.add(user)
    this.set(users, frame.count)
  }

  /** Takes what the room says when it is asked. */
  answer(users: readonly string[], count: number): void {
    this.set(new Set(users), count)
  }

  clear(): void {
    this.set(new Set(), 0)
  }

  /** Whether some have left that were not named. */
  get isStale(): boolean {
    return this.users.length > this.count
  }

  private set(users: Set<string>, count: number): void {
    this.users = [...users].sort((a, b) => a.toLowerCase().localeCompare(b.toLowerCase()) || (a < b ? -1 : 1))
    this.count = count
  }
}

const typingFor = 5000 // ms after the last sign of it

/** Who is typing. Nobody says when they stop: whoever shows it asks again now and then. */
export class Typing {
  private readonly until = new Map<string, number>()

  note(user: string, now: number): void {
    this.until.set(user, now + typingFor)
  }

  /** A message has come, or the person is gone. */
  stop(user: string): void {
    this.until.delete(user)
  }

  users(now: number): string[] {
    for (const [user, until] of this.until) if (until <= now) this.until.delete(user)
    return [...this.until.keys()]
  }
}

/** The sentence about those who type. */
export function typingText(users: readonly string[]): string {
  const [first, second, third] = users
  if (first === undefined) return ''
  if (second === undefined) return `${first} is typing…`
  if (third === undefined) return `${first} and ${second} are typing…`
  return 'Several people are typing…'
}

const every = 2500 // ms; the room tells others every 2 s at most

/** Tells the others that this person is typing, now and then. */
export class OwnTyping {
  private told = -every // when
  private timer: number | undefined

  constructor(private readonly tell: () => void) {}

  note(): void {
    const wait = this.told + every - Date.now()
    if (wait > 0) this.timer ??= setTimeout(() => this.tellNow(), wait) // the last word of a while counts too
    else this.tellNow()
  }

  /** Notes that this person has stopped to type. */
  stop(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  private tellNow(): void {
    this.stop()
    this.told = Date.now()
    this.tell()
  }
}
