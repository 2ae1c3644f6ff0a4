// What a screen reader is told: new messages of the room that is open, not each of a
// flood, and what went wrong.

import { byId } from './element.ts'
import type { Message } from './protocol.ts'

const gather = 1500 // ms: what comes meanwhile is told together
const longest = 200 // characters of a message; the rest is there to be read

export class Announcer {
  private readonly region = byId('announcer')
  private first: Message | undefined // of those that were not told yet
  private count = 0
  private readonly authors = new Set<string>()
  private timer: number | undefined

  /** Tells of a message, with those that come in a moment. */
  message(message: Message, text: string): void {
    this.first ??= { ...message, content: text }
    this.count++
    this.authors.add(message.author)
    this.timer ??= setTimeout(() => this.tell(), gather)
  }

  /** Says something at once. */
  say(text: string): void {
    this.region.textContent = text
  }

  /** Forgets what was not told yet: the room is another one. */
  clear(): void {
    this.first = undefined
    this.count = 0
    this.authors.clear()
  }

  private tell(): void {
    const { first, count } = this
    const authors = [...this.authors]
    this.clear()
    this.timer = undefined
    if (!first) return
    if (count === 1) return this.say(`${first.author}: ${first.content.slice(0, longest)}`)
    this.say(`${count} new messages from ${authors.length > 3 ? `${authors.length} people` : authors.join(', ')}`)
  }
}
