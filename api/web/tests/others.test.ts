import { test, expect } from 'dotdo/test'
import { backoff } from '../page/backoff.ts'
import { fitting, markAt } from '../page/fitting.ts'
import { Kept } from '../page/kept.ts'
import { placeOf, userOf } from '../page/place.ts'
import { Presence, Typing, typingText } from '../page/presence.ts'
import { isMessage, isName, readFrame } from '../page/protocol.ts'
import { sentence } from '../page/server.ts'

test('the wait doubles up to half a minute, and half of it is chance', () => {
  expect([0, 1, 2, 5, 6, 7, 1000].map((failed) => backoff(failed, () => 1))).toEqual([500, 1000, 2000, 16_000, 30_000, 30_000, 30_000])
  expect([0, 6].map((failed) => backoff(failed, () => 0))).toEqual([250, 15_000])
})

test('people are here once, until they are gone', () => {
  const presence = new Presence()
  const welcome = { type: 'welcome', room: 'general', user: 'ann', users: ['cem', 'Bob'], count: 3, latest: null } as const
  presence.welcome(welcome)
  expect(presence.users).toEqual(['ann', 'Bob', 'cem'])
  presence.change({ type: 'presence', joined: ['dana', 'ann'], left: ['cem'], count: 3 })
  expect(presence.users).toEqual(['ann', 'Bob', 'dana'])
  presence.change({ type: 'presence', joined: [], left: [], count: 400 })
  expect([presence.count, presence.isStale]).toEqual([400, false])
  presence.change({ type: 'presence', joined: [], left: ['dana'], count: 1 }) // and one more, who is not named
  expect(presence.isStale).toBe(true)
  presence.welcome(welcome) // back again: what the room says counts
  expect([presence.users.length, presence.count]).toEqual([3, 3])
})

test('who types is shown for a while, or until they have said it', () => {
  const typing = new Typing()
  typing.note('ann', 0)
  typing.note('bob', 1000)
  expect(typingText(typing.users(4999))).toBe('ann and bob are typing…')
  expect(typingText(typing.users(5000))).toBe('bob is typing…')
  typing.stop('bob')
  expect(typingText(typing.users(5001))).toBe('')
  expect(typingText(['a', 'b', 'c'])).toBe('Several people are typing…')
})

test('a name is completed behind an @ that begins a word', () => {
  expect(markAt('hi @bo', 6)).toEqual({ from: 3, typed: 'bo' })
  expect(markAt('@', 1)).toEqual({ from: 0, typed: '' })
  expect(markAt('hi @bo there', 6)).toEqual({ from: 3, typed: 'bo' })
  for (const text of ['a@b', '@@b', 'hi', '@bo ', `@${'x'.repeat(65)}`]) expect(markAt(text, text.length)).toBeUndefined()
  const names = ['abe', 'Bob', 'bonnie', 'ann', 'Bob']
  expect(fitting(names, 'b')).toEqual(['Bob', 'bonnie', 'abe'])
  expect(fitting(names, 'BO')).toEqual(['Bob', 'bonnie'])
  expect(fitting(['bob.', '-bob', 'bob_', '.bob', 'bob-', 'a-b.c_d', '_bob', '_', 'b'], '')).toEqual(['a-b.c_d', '_bob', '_', 'b'])
  expect(fitting(names, 'Bob')).toEqual([])
  expect(fitting([...names, 'bobby'], 'bonnie')).toEqual([])
  expect(fitting(Array.from({ length: 50 }, (_, i) => `n${i}`), '')).toHaveLength(6)
})

test('an address leads to a room, a message in it, or brings a token', () => {
  expect(placeOf('')).toEqual({ room: 'general' })
  expect(placeOf('#garden')).toEqual({ room: 'garden' })
  expect(placeOf('#garden/01K')).toEqual({ room: 'garden', message: '01K' })
  expect(placeOf('#token=a.b.c')).toEqual({ room: 'general', token: 'a.b.c' })
  expect(placeOf('#garden&token=a.b.c')).toEqual({ room: 'garden', token: 'a.b.c' })
  for (const hash of ['#<img src=x>', '#%', '#a b', `#${'x'.repeat(65)}`, '#/x', '#..%2f']) expect(placeOf(hash).room).toBe('general')
})

test('a token says whose it is, and what is none says nothing', () => {
  const token = (payload: string) => `e30.${btoa(payload).replace(/=+$/, '').replace(/\+/g, '-').replace(/\//g, '_')}.x`
  expect(userOf(token('{"sub":"ann"}'))).toBe('ann')
  for (const text of ['', 'a', 'a.b', 'a.%.c', token('{'), token('null'), token('{"sub":1}'), token('{"sub":""}'), token('{"sub":"\\ud800"}')]) expect(userOf(text)).toBeUndefined()
})

test('what a browser does not keep is kept until the page is left', () => {
  const items = new Map<string, string>([['name', 'ann']])
  let isFull = false
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => {
      if (isFull) throw new Error('QuotaExceededError')
      items.set(key, value)
    },
    removeItem: (key: string) => void items.delete(key),
  }
  const kept = new Kept(() => storage)
  expect(kept.getItem('name')).toBe('ann')
  isFull = true
  kept.setItem('name', 'bob')
  expect([kept.getItem('name'), items.get('name')]).toEqual(['bob', undefined]) // nor is it ann the next time
  isFull = false
  kept.setItem('name', 'cem')
  expect([kept.getItem('name'), items.get('name')]).toEqual(['cem', 'cem'])
  kept.removeItem('name')
  expect(kept.getItem('name')).toBe(null)
  const denied = new Kept(() => {
    throw new Error('SecurityError')
  })
  denied.setItem('name', 'ann')
  expect(denied.getItem('name')).toBe('ann')
  denied.removeItem('name')
  expect(denied.getItem('name')).toBe(null)
})

test('names are of the characters that names are of', () => {
  for (const name of ['ann', 'a.b-c_D9', 'x'.repeat(64), '__proto__', '...', '.a']) expect(isName(name)).toBe(true)
  for (const name of ['', 'x'.repeat(65), 'a b', 'ä', 'a/b', 'a#', 'ann\n', '.', '..']) expect(isName(name)).toBe(false)
})

test('what is no frame is not read', () => {
  expect(readFrame('{"type":"read","at":"1"}')).toEqual({ type: 'read', at: '1' })
  for (const data of ['', 'x', 'null', '1', '[]', '{}', '{"type":1}', new ArrayBuffer(1), undefined]) expect(readFrame(data)).toBeUndefined()
})

test('what a server said is a sentence', () => {
  expect(['a token is needed', 'Your sign-in has expired.', ''].map(sentence)).toEqual(['A token is needed.', 'Your sign-in has expired.', '.'])
})

test('a frame that lacks what it is for is none', () => {
  const presence = { type: 'presence', joined: ['ann'], left: [], count: 1 }
  expect(readFrame(JSON.stringify(presence))).toEqual(presence)
  const mention = { type: 'notification', id: '1', notification: { type: 'mention', room: 'tea', from: 'ann', message: '01', content: 'hi' } }
  expect(readFrame(JSON.stringify(mention))).toEqual(mention)
  const wrong = [{ ...presence, left: undefined }, { ...presence, joined: [1] }, { ...presence, count: '1' }, { type: 'welcome', user: 'ann' }, { type: 'read' }, { type: 'error' }, { type: 'seen', id: 1 },
    { ...mention, notification: { ...mention.notification, content: 7 } }, { ...mention, notification: { ...mention.notification, room: '<x>' } }]
  for (const frame of wrong) expect(readFrame(JSON.stringify(frame))).toBeUndefined()
  expect(readFrame('{"type":"constructor"}')).toEqual({ type: 'constructor' }) // of a kind that is passed over
})

test('a message that cannot be shown is none', () => {
  const message = { $id: '01', room: 'general', author: 'ann', content: '', sent: '2026-01-01T12:00:00.000Z' }
  expect(isMessage(message)).toBe(true)
  expect(isMessage({ ...message, reactions: { x: ['ann'] }, more: 1 })).toBe(true)
  for (const wrong of [{ $id: '' }, { $id: 1 }, { author: undefined }, { content: null }, { sent: 'x' }, { sent: 1 }, { reactions: null }, { reactions: { x: 'ann' } }]) {
    expect(isMessage({ ...message, ...wrong })).toBe(false)
  }
  for (const wrong of [undefined, null, 1, 'x', [], {}]) expect(isMessage(wrong)).toBe(false)
})
