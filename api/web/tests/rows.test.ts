import { test, expect } from 'dotdo/test'
import type { Entry } from '../page/outbox.ts'
import type { Message, Request } from '../page/protocol.ts'
import { rowsOf, type Row } from '../page/rows.ts'

const noon = new Date(2026, 1, 28, 12).getTime()
const minute = 60_000

function message(id: string, author: string, at: number, more: Partial<Message> = {}): Message {
  return { $id: id, room: 'general', author, content: id, sent: new Date(at).toISOString(), ...more }
}

function rows(messages: Message[], entries: Entry[] = [], newAfter?: string, waitsFrom = 0): Row[] {
  return rowsOf({ messages, entries, room: 'general', me: 'ann', newAfter, waitsFrom })
}

const entry = (id: string, request: Request, error?: string): Entry => ({ id, room: 'general', request, at: noon, error })

/** Rows in short: days by their date, messages by author and content, + if they follow. */
function show(rows: Row[]): string {
  return rows.map((row) => {
    if (row.kind === 'day') return row.day
    if (row.kind === 'new') return 'NEW'
    return `${row.follows ? '+' : ''}${row.message.author}:${row.message.content}${row.state === 'sent' ? '' : `(${row.state})`}`
  }).join(' ')
}

test('a day begins once, and an author is named again after a pause', () => {
  const day = 24 * 60 * minute
  expect(show(rows([
    message('a', 'bob', noon - day),
    message('b', 'bob', noon), message('c', 'bob', noon + minute), message('d', 'cem', noon + minute), message('e', 'bob', noon + 2 * minute), message('f', 'bob', noon + 8 * minute),
    message('g', 'bob', noon + day),
  ]))).toBe('2026-02-27 bob:a 2026-02-28 bob:b +bob:c cem:d bob:e bob:f 2026-03-01 bob:g')
})

test('a day begins once, also if a clock is behind', () => {
  const day = 24 * 60 * minute
  const late = [message('a', 'bob', noon), message('b', 'bob', noon + day), message('c', 'bob', noon + minute), message('d', 'bob', noon + day)]
  const all = rows(late, [entry('x', { type: 'message', content: 'e' })]) // whose own clock says noon
  expect(show(all)).toBe('2026-02-28 bob:a 2026-03-01 bob:b +bob:c bob:d ann:e(sending)')
  const keys = all.map(({ key }) => key)
  expect(keys.length).toBe(new Set(keys).size) // each is one node
})

test('where the new ones begin is said before the first of somebody else', () => {
  expect(show(rows([message('a', 'bob', noon), message('b', 'ann', noon), message('c', 'bob', noon), message('d', 'bob', noon)], [], 'a')))
    .toBe('2026-02-28 bob:a ann:b NEW bob:c +bob:d')
  expect(show(rows([message('a', 'bob', noon)], [], 'a'))).toBe('2026-02-28 bob:a')
})

test('one has said at once what is on its way, and once when it is there', () => {
  const sending = entry('x1', { type: 'message', content: 'hi' })
  const before = rows([message('a', 'bob', noon)], [sending])
  expect(show(before)).toBe('2026-02-28 bob:a ann:hi(sending)')
  const after = rows([message('a', 'bob', noon), message('b', 'ann', noon, { id: 'x1', content: 'hi' })], [sending]) // the frame came, the acknowledgement not yet
  expect(show(after)).toBe('2026-02-28 bob:a ann:hi')
  expect(after.at(-1)!.key).toBe(before.at(-1)!.key) // the same article
  const other = rows([message('b', 'bob', noon, { id: 'x1', content: 'hi' })], [sending]) // another person's id is another
  expect(show(other)).toBe('2026-02-28 bob:hi ann:hi(sending)')
  expect(show(rows([], [entry('x1', { type: 'message', content: 'hi' }, 'no')]))).toBe('2026-02-28 ann:hi(failed)')
})

test('what is on its way for long waits, and what failed does not', () => {
  const said = message('a', 'ann', noon)
  const entries = [entry('x', { type: 'edit', message: 'a', content: 'b' }), entry('y', { type: 'message', content: 'c' }), entry('z', { type: 'message', content: 'd' }, 'no')]
  const waits = (from: number) => rows([said, message('b', 'bob', noon)], entries, undefined, from).map((row) => row.kind === 'message' && row.waits)
  expect(waits(noon)).toEqual([false, true, false, true, false])
  expect(waits(noon - 1)).toEqual([false, false, false, false, false])
})

test('edits, deletions and reactions show before they are acknowledged', () => {
  const said = message('a', 'ann', noon, { reactions: { '👍': ['bob'], '🎉': ['ann'] } })
  const shown = (request: Request, error?: string) => {
    const [, row] = rows([said], [entry('x', request, error)])
    return row!.kind === 'message' ? row! : undefined
  }
  expect(shown({ type: 'edit', message: 'a', content: 'b' })).toMatchObject({ state: 'sending', message: { content: 'b' } })
  expect(shown({ type: 'edit', message: 'a', content: 'b' }, 'no')).toMatchObject({ state: 'failed', message: { content: 'b' } })
  expect(shown({ type: 'delete', message: 'a' })!.message).toMatchObject({ content: '', reactions: {} })
  const react = (emoji: string, on: boolean) => shown({ type: 'react', message: 'a', emoji, on })!.message.reactions
  expect(react('👍', true)).toEqual({ '👍': ['bob', 'ann'], '🎉': ['ann'] })
  expect(react('🎉', false)).toEqual({ '👍': ['bob'] })
  expect(react('🎉', true)).toEqual({ '👍': ['bob'], '🎉': ['ann'] })
  expect(Object.entries(react('constructor', true)!)).toEqual([['👍', ['bob']], ['🎉', ['ann']], ['constructor', ['ann']]])
  expect(Object.keys(react('__proto__', true)!)).toEqual(['👍', '🎉', '__proto__'])
  expect(show(rows([said], [entry('x', { type: 'edit', message: 'other', content: 'b' })]))).toBe('2026-02-28 ann:a')
})
