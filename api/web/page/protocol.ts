// What the page and the rooms say to each other. The frames are those of scripts/room.js
// and scripts/user.js.

/** A message of a room, as it is now. */
export interface Message {
  readonly $id: string // a position: greater than that of every message before it
  readonly $version?: number
  readonly room: string
  readonly author: string
  readonly content: string
  readonly sent: string // a date
  readonly id?: string // of the author's, from the outbox
  readonly edited?: string // a date
  readonly deleted?: string // a date; the content is empty then
  readonly reactions?: Readonly<Record<string, readonly string[]>> // who, by emoji
}

/** Whether something can be shown as a message. Rooms are scripts, and scripts are changed. */
export function isMessage(value: unknown): value is Message {
  if (value === null || typeof value !== 'object') return false
  const { $id, author, content, sent, reactions = {} } = value as Partial<Record<keyof Message, unknown>>
  return typeof $id === 'string' && $id !== '' && typeof author === 'string' && typeof content === 'string' && typeof sent === 'string' && !isNaN(Date.parse(sent))
    && reactions !== null && typeof reactions === 'object' && Object.values(reactions).every(Array.isArray)
}

/** What a client asks of a room, and sends again with the same id until it is answered. */
export type Request =
  | { readonly type: 'message'; readonly content: string }
  | { readonly type: 'edit'; readonly message: string; readonly content: string }
  | { readonly type: 'delete'; readonly message: string }
  | { readonly type: 'react'; readonly message: string; readonly emoji: string; readonly on: boolean }

export interface Welcome {
  readonly type: 'welcome'
  readonly room: string
  readonly user: string
  readonly users: readonly string[]
  readonly count: number
  readonly latest: string | null // the newest position
  readonly read?: string | null // how far this person has read
  readonly unread?: number
  readonly private?: boolean
  readonly missed?: number // frames that come next, of what was missed
}

/** What a room sends. */
export type RoomFrame =
  | Welcome
  | { readonly type: 'message'; readonly message: Message }
  | { readonly type: 'change'; readonly at: string; readonly message: Message }
  | { readonly type: 'ack'; readonly id: string; readonly message?: Message }
  | { readonly type: 'error'; readonly id?: string; readonly error: string; readonly retryAfter?: number }
  | { readonly type: 'gap'; readonly since: string | null; readonly latest: string | null }
  | { readonly type: 'presence'; readonly joined: readonly string[]; readonly left: readonly string[]; readonly count: number }
  | { readonly type: 'typing'; readonly user: string }
  | { readonly type: 'read'; readonly at: string }

/** What a room answers when it is asked who is here: the first by name, and how many there are. */
export interface WhoIsHere {
  readonly users: readonly { readonly user: string }[]
  readonly count: number
}

/** Somebody mentioned this person. */
export interface Mention {
  readonly type: 'mention'
  readonly room: string
  readonly from: string
  readonly message: string // its $id
  readonly at?: string // the position of the edit that did, if it was one
  readonly content: string
}

/** What an inbox sends. */
export type InboxFrame =
  | { readonly type: 'notification'; readonly id: string; readonly notification: Mention }
  | { readonly type: 'amend'; readonly id: string; readonly notification: Mention | null } // as it is now; null if it is taken back
  | { readonly type: 'seen'; readonly id: string }

/** What people and rooms may be called: the rule of scripts/lib/name.js. */
export const nameRule = '1 to 64 letters, digits, _ . or -, but neither . nor ..'

export function isName(name: string): boolean {
  return /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,64}$/.test(name)
}

type Check = (value: any) => boolean

const isText: Check = (value) => typeof value === 'string'
const isNumber: Check = (value) => typeof value === 'number'
const areTexts: Check = (value) => Array.isArray(value) && value.every(isText)
const orNone = (is: Check): Check => (value) => value === undefined || value === null || is(value)
const isMention: Check = (value) => isText(value?.room) && isName(value.room) && isText(value.from) && isText(value.message) && orNone(isText)(value.at) && isText(value.content)

/** What frames have that the page cannot do without. Messages are looked at by isMessage. */
const needed: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  welcome: { user: isText, users: areTexts, count: isNumber, latest: orNone(isText), read: orNone(isText), unread: orNone(isNumber) },
  change: { at: isText },
  ack: { id: isText },
  error: { error: isText, id: orNone(isText), retryAfter: orNone(isNumber) },
  gap: { since: orNone(isText), latest: orNone(isText) },
  presence: { joined: areTexts, left: areTexts, count: isNumber },
  typing: { user: isText },
  read: { at: isText },
  seen: { id: isText },
  notification: { id: isText, notification: (value) => value?.type !== 'mention' || isMention(value) },
  amend: { id: isText, notification: (value) => value === null || isMention(value) },
}

/** Reads a frame; undefined if it is none, or lacks something. */
export function readFrame<Frame>(data: unknown): Frame | undefined {
  if (typeof data !== 'string') return undefined
  try {
    const frame: unknown = JSON.parse(data)
    if (frame === null || typeof frame !== 'object') return undefined
    const { type } = frame as { type?: unknown }
    if (typeof type !== 'string') return undefined
    const checks = Object.entries(Object.hasOwn(needed, type) ? needed[type]! : {})
    if (checks.every(([name, is]) => is((frame as Record<string, unknown>)[name]))) return frame as Frame
  } catch {
    // not JSON: no frame
  }
  return undefined
}
