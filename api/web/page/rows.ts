// What a room shows, in order: its messages as they will be when all that this person has
// asked for is done, the days between them, and where the new ones begin.

import { dayOf } from './day.ts'
import type { Entry } from './outbox.ts'
import type { Message } from './protocol.ts'
import type { Room } from './room.ts'

export type Delivery = 'sending' | 'sent' | 'failed'

export interface MessageRow {
  readonly kind: 'message'
  readonly key: string // the same before and after a message was acknowledged
  readonly message: Message // without $id while it is on its way
  readonly state: Delivery
  readonly entry?: Entry | undefined // of the outbox that it waits for
  readonly waits: boolean // it is not on its way, or has been for long
  readonly follows: boolean // the same author goes on, shortly after
}

export type Row =
  | MessageRow
  | { readonly kind: 'day'; readonly key: string; readonly day: string }
  | { readonly kind: 'new'; readonly key: string }

const pause = 5 * 60_000 // ms after which an author is named again

export interface Shown {
  readonly messages: readonly Message[]
  readonly entries: readonly Entry[] // of the room
  readonly room: string
  readonly me: string
  readonly newAfter: string | undefined // the $id behind which messages are new
  readonly waitsFrom: number // what was asked up to then, in ms, waits
}

export function rowsOf({ messages, entries, room, me, newAfter, waitsFrom }: Shown): Row[] {
  const rows: Row[] = []
  const changes = new Map<string, Entry[]>() // by the message that they are about
  for (const entry of entries) {
    if (entry.request.type === 'message') continue
    const about = changes.get(entry.request.message) ?? []
    changes.set(entry.request.message, [...about, entry])
  }
  let previous: Message | undefined
  let isNew = false
  let latest = '' // day
  const add = (message: Message, state: Delivery, entry?: Entry) => {
    const day = dayOf(message.sent)
    const begins = day > latest // a clock may be behind, this one or the server's: no day begins twice
    if (begins) rows.push({ kind: 'day', key: `day:${day}`, day })
    if (begins) latest = day
    if (!isNew && newAfter !== undefined && message.author !== me && message.$id > newAfter) {
      isNew = true
      rows.push({ kind: 'new', key: 'new' })
      previous = undefined
    }
    const follows = previous !== undefined && !begins && previous.author === message.author && timeOf(message.sent) - timeOf(previous.sent) < pause
    rows.push({ kind: 'message', key: keyOf(message, me), message, state, entry, waits: state === 'sending' && entry !== undefined && entry.at <= waitsFrom, follows })
    previous = message
  }
  const said = new Set<string>()
  for (const message of messages) {
    if (message.author === me && message.id !== undefined) said.add(message.id)
    const [shown, entry] = withChanges(message, changes.get(message.$id) ?? [], me)
    add(shown, entry === undefined ? 'sent' : entry.error === undefined ? 'sending' : 'failed', entry)
  }
  for (const entry of entries) {
    if (entry.request.type !== 'message' || said.has(entry.id)) continue
    const message = { $id: '', room, author: me, content: entry.request.content, sent: new Date(entry.at).toISOString(), id: entry.id }
    add(message, entry.error === undefined ? 'sending' : 'failed', entry)
  }
  return rows
}

function keyOf(message: Message, me: string): string {
  return message.author === me && message.id !== undefined ? `mine:${message.id}` : message.$id
}

/** A message of a room as it is shown, if it is there. */
export function shownOf({ timeline, entries, me }: Pick<Room, 'timeline' | 'entries' | 'me'>, id: string): Message | undefined {
  const message = timeline.get(id)
  return message && withChanges(message, entries.filter(({ request }) => request.type !== 'message' && request.message === id), me)[0]
}

/** A message with what this person has asked for; and the edit or deletion that is still to be done. */
function withChanges(message: Message, entries: readonly Entry[], me: string): [Message, Entry | undefined] {
  let waiting: Entry | undefined
  for (const entry of entries) {
    const { request } = entry
    if (request.type === 'edit') {
      message = { ...message, content: request.content, edited: message.edited ?? message.sent }
      waiting = entry
    } else if (request.type === 'delete') {
      message = { ...message, content: '', deleted: message.deleted ?? message.sent, reactions: {} }
      waiting = entry
    } else if (request.type === 'react' && entry.error === undefined) {
      message = { ...message, reactions: withReaction(message.reactions ?? {}, request.emoji, me, request.on) }
    }
  }
  return [message, waiting]
}

function withReaction(reactions: Message['reactions'] & object, emoji: string, user: string, on: boolean): Message['reactions'] & object {
  const others = (Object.hasOwn(reactions, emoji) ? reactions[emoji]! : []).filter((other) => other !== user)
  const entries = Object.entries(reactions).filter(([other]) => other !== emoji || on || others.length > 0)
  const users = on ? [...others, user] : others
  if (users.length > 0 && !Object.hasOwn(reactions, emoji)) entries.push([emoji, users])
  return Object.fromEntries(entries.map(([other, by]) => [other, other === emoji ? users : by]))
}

function timeOf(date: string): number {
  return new Date(date).getTime()
}
