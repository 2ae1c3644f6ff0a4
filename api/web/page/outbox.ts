// What this tab has asked of rooms and has no answer to yet. It is kept where a reload
// finds it again, and sent with the same id until it is acknowledged: a room takes each
// once, however often it comes.

import { readKept, type Store } from './kept.ts'
import type { Request } from './protocol.ts'

export interface Entry {
  readonly id: string
  readonly room: string
  readonly request: Request
  readonly at: number // when it was written, in ms
  readonly error?: string | undefined // why it failed; it waits for the person then
  readonly due?: number | undefined // it is not sent before, in ms: until then the person can take it back
}

const maxEntries = 200 // more than anybody writes while a train is in a tunnel

export class Outbox {
  private entries: readonly Entry[]

  /** Opens the outbox that the store has by this name. newID makes an id that nobody else makes. */
  constructor(
    private readonly store: Store,
    private readonly name: string,
    private readonly newID: () => string,
  ) {
    this.entries = read(store, name)
  }

  /** The entries of a room, in the order they were made. */
  of(room: string): readonly Entry[] {
    return this.entries.filter((entry) => entry.room === room)
  }

  /** The rooms that something waits for. */
  get rooms(): readonly string[] {
    return [...new Set(this.entries.filter((entry) => entry.error === undefined).map((entry) => entry.room))]
  }

  get(id: string): Entry | undefined {
    return this.entries.find((entry) => entry.id === id)
  }

  /** Adds a request; undefined if there is no room for more. */
  add(room: string, request: Request, now: number, due?: number): Entry | undefined {
    if (this.entries.length >= maxEntries) return undefined
    const entry = { id: this.newID(), room, request, at: now, due }
    this.keep([...this.entries, entry])
    return entry
  }

  /** Forgets an entry: it was acknowledged, or given up. It returns what it was. */
  remove(id: string): Entry | undefined {
    const entry = this.get(id)
    if (entry) this.keep(this.entries.filter((other) => other !== entry))
    return entry
  }

  /** Marks an entry as failed; it stays until it is tried again or removed. */
  fail(id: string, error: string): void {
    this.replace(id, (entry) => ({ ...entry, error }))
  }

  /** Has a failed entry sent again, under the same id, behind those that wait. */
  retry(id: string): Entry | undefined {
    const entry = this.remove(id)
    if (!entry) return undefined
    const again = { id: entry.id, room: entry.room, request: entry.request, at: entry.at }
    this.keep([...this.entries, again])
    return again
  }

  /** What is to be sent to a room when it is there again, in order. */
  waiting(room: string): readonly Entry[] {
    return this.of(room).filter((entry) => entry.error === undefined)
  }

  private replace(id: string, by: (entry: Entry) => Entry): void {
    if (this.get(id)) this.keep(this.entries.map((entry) => (entry.id === id ? by(entry) : entry)))
  }

  private keep(entries: readonly Entry[]): void {
    this.entries = entries
    this.store.setItem(this.name, JSON.stringify(entries))
  }
}

function read(store: Store, name: string): readonly Entry[] {
  const entries = readKept(store, name)
  return Array.isArray(entries) ? entries.filter(isEntry).slice(0, maxEntries) : []
}

function isEntry(value: unknown): value is Entry {
  if (value === null || typeof value !== 'object') return false
  const { id, room, request } = value as Partial<Entry>
  return typeof id === 'string' && typeof room === 'string' && request !== null && typeof request === 'object'
}

/** An id that nobody else makes. (randomUUID is not there without https.) */
export function newID(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
