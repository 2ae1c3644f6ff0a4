// The messages of a room that this page has: one unbroken stretch of its history, up to
// the newest.

import type { Message } from './protocol.ts'

export class Timeline {
  /** In the order of $id, which is that in which everybody saw them. */
  messages: readonly Message[] = []
  /** Whether the first message is the first that was ever said. */
  complete = false

  get oldest(): Message | undefined {
    return this.messages[0]
  }

  get newest(): Message | undefined {
    return this.messages[this.messages.length - 1]
  }

  get(id: string): Message | undefined {
    const at = this.place(id)
    return this.messages[at]?.$id === id ? this.messages[at] : undefined
  }

  /** Puts a message where it belongs, or in place of an earlier state of itself. It reports whether it is a new one. */
  put(message: Message): boolean {
    const at = this.place(message.$id)
    const known = this.messages[at]
    if (known?.$id !== message.$id) {
      this.messages = [...this.messages.slice(0, at), message, ...this.messages.slice(at)]
      return true
    }
    if (!isOlder(message, known)) this.messages = this.messages.map((other) => (other === known ? message : other))
    return false
  }

  /** Puts the new state of a message that may lie before all that is here; then it is not needed. */
  change(message: Message): void {
    if (this.get(message.$id)) this.put(message)
  }

  /** Adds a page of what was said before. An empty one is the beginning. */
  addOlder(page: readonly Message[], isAll: boolean): void {
    for (const message of page) this.put(message)
    if (isAll) this.complete = true
  }

  /** Forgets the oldest, so that no more than so many are left. */
  trim(most: number): void {
    if (this.messages.length <= most) return
    this.messages = this.messages.slice(-most)
    this.complete = false
  }

  /** Forgets everything: what is here and what comes next would not be one stretch. */
  clear(): void {
    this.messages = []
    this.complete = false
  }

  /** Where a message with this $id is, or would be. */
  private place(id: string): number {
    let low = 0
    let high = this.messages.length
    if (high > 0 && this.messages[high - 1]!.$id < id) return high // most are the newest
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.messages[middle]!.$id < id) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Whether a state of a message is older than another: answers may overtake frames. */
function isOlder(message: Message, than: Message): boolean {
  return (message.$version ?? 0) < (than.$version ?? 0)
}
