import { test, expect, clock } from 'dotdo/test'
import { Outbox } from '../page/outbox.ts'
import type { Message } from '../page/protocol.ts'
import { Room, type Change } from '../page/room.ts'
import { FakeServer, message } from './_fakes.ts'

interface Options {
  welcome?: object
  wasJoined?: boolean
  history?: Message[] // the oldest first
  isOpen?: boolean
  isLookedAt?: boolean
}

const greeting = { type: 'welcome', room: 'general', user: 'ann', users: ['ann', 'bob'], count: 2, latest: null, read: null, unread: 0, private: false }

async function join({ welcome = {}, wasJoined = false, history = [], isOpen = true, isLookedAt = false }: Options = {}) {
  const fake = new FakeServer()
  const items = new Map<string, string>()
  let ids = 0
  const outbox = new Outbox({ getItem: (key) => items.get(key) ?? null, setItem: (key, value) => void items.set(key, value) }, 'outbox', () => `id-${++ids}`)
  const told = { arrived: [] as string[], failed: [] as string[], changes: [] as Change[] }
  const looks = { at: isLookedAt }
  fake.answer = (_method, _path, { before, limit }) => {
    const earlier = history.filter(({ $id }) => before === undefined || $id < String(before))
    return earlier.toReversed().slice(0, Number(limit))
  }
  const room = new Room('general', 'ann', fake.server, outbox, {
    changed: (_, what) => told.changes.push(what),
    arrived: (_, { content }) => told.arrived.push(content),
    failed: (_, error) => told.failed.push(error),
    refused: () => undefined,
    isLookedAt: () => looks.at,
  }, wasJoined)
  if (isOpen) room.open()
  room.connection.connect()
  fake.socket.accept()
  fake.socket.tell({ ...greeting, ...welcome })
  await clock.advance('1ms') // the page has come
  const back = async (welcome: object, ...frames: object[]) => { // lost and found
    fake.socket.drop()
    await clock.advance('2001ms') // the longest wait after three that were short
    fake.socket.accept()
    fake.socket.tell({ ...greeting, ...welcome }, ...frames)
  }
  return { fake, room, outbox, told, looks, back }
}

const ids = (room: Room) => room.timeline.messages.map(({ $id }) => $id).join(' ')
const history = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => message(String(from + i).padStart(4, '0')))

test('how far one has read is told a little later, or when the page goes', async () => {
  const { fake, room } = await join({ isLookedAt: true })
  fake.socket.tell({ type: 'message', message: message('0001') })
  expect(fake.socket.of('read')).toEqual([])
  room.hasten()
  expect(fake.socket.of('read')).toEqual([{ type: 'read', at: '0001' }])
  await clock.advance('1s')
  room.hasten()
  expect(fake.socket.of('read')).toHaveLength(1)
  fake.socket.tell({ type: 'message', message: message('0002') })
  await clock.advance('1s')
  expect(fake.socket.of('read')).toHaveLength(2)
})

test('what came while one was away comes behind what one has, once', async () => {
  const { fake, room, back } = await join({ welcome: { latest: '0002' }, history: history(1, 2) })
  expect(fake.socket.parameters['since']).toBeUndefined()
  fake.socket.tell({ type: 'message', message: message('0003') }, { type: 'change', at: '0004', message: message('0001', 'bob', { $version: 2, content: 'edited' }) })
  await back({ latest: '0006' }, { type: 'message', message: message('0005') }, { type: 'message', message: message('0006') })
  expect(fake.socket.parameters['since']).toBe('0004')
  fake.socket.tell({ type: 'message', message: message('0006') })
  expect(ids(room)).toBe('0001 0002 0003 0005 0006')
  expect(room.timeline.get('0001')!.content).toBe('edited')
})

test('a room that was empty goes on from its beginning', async () => {
  const { fake, back } = await join()
  await back({ latest: '0001' })
  expect(fake.socket.parameters['since']).toBe('')
})

test('what was not acknowledged is sent again with the same id, and stays in order', async () => {
  const { fake, room, outbox, back } = await join()
  room.ask({ type: 'message', content: 'one' })
  room.ask({ type: 'message', content: 'two' })
  fake.socket.tell({ type: 'message', message: message('0001', 'ann', { id: 'id-1' }) }, { type: 'ack', id: 'id-1', message: message('0001', 'ann', { id: 'id-1' }) })
  fake.socket.drop()
  room.ask({ type: 'message', content: 'three' })
  await back({ latest: '0001' })
  expect(fake.socket.of('message')).toEqual([{ type: 'message', content: 'two', id: 'id-2' }, { type: 'message', content: 'three', id: 'id-3' }])
  for (const id of ['id-2', 'id-3']) fake.socket.tell({ type: 'ack', id })
  expect(outbox.of('general')).toEqual([])
})

test('nothing is sent before the room has said welcome', async () => {
  const { fake, room } = await join()
  fake.socket.drop()
  await clock.advance('1s')
  room.ask({ type: 'message', content: 'one' })
  fake.socket.accept()
  room.ask({ type: 'message', content: 'two' })
  expect(fake.socket.sent).toEqual([])
  fake.socket.tell(greeting)
  expect(fake.socket.of('message').map(({ content }) => content)).toEqual(['one', 'two'])
})

test('where no answer comes the socket is given up', async () => {
  const { fake, room, outbox } = await join()
  room.ask({ type: 'message', content: 'one' })
  await clock.advance('11s')
  expect(fake.sockets).toHaveLength(1)
  await clock.advance('3s')
  expect(fake.sockets).toHaveLength(2)
  fake.socket.accept()
  fake.socket.tell(greeting)
  expect(fake.socket.of('message')).toHaveLength(1)
  expect(outbox.of('general')).toHaveLength(1)
})

test('what is refused says why, and is tried again when the person says so', async () => {
  const { fake, room, outbox, told } = await join()
  room.ask({ type: 'message', content: 'one' })
  fake.socket.tell({ type: 'error', id: 'id-1', error: 'not today' })
  await clock.advance('1m')
  expect(fake.socket.of('message')).toHaveLength(1)
  expect(room.entries).toMatchObject([{ id: 'id-1', error: 'not today' }])
  room.retry('id-1')
  expect(fake.socket.of('message')).toEqual([{ type: 'message', content: 'one', id: 'id-1' }, { type: 'message', content: 'one', id: 'id-1' }])
  room.ask({ type: 'react', message: '0001', emoji: 'x', on: true })
  fake.socket.tell({ type: 'error', id: 'id-2', error: 'too many kinds' }, { type: 'error', error: 'about nothing' })
  expect(told.failed).toEqual(['too many kinds'])
  expect(outbox.get('id-2')).toBeUndefined()
})

test('who is too fast waits, and then says it', async () => {
  const { fake, room } = await join()
  room.ask({ type: 'message', content: 'one' })
  fake.socket.tell({ type: 'error', id: 'id-1', error: 'too fast', retryAfter: 5 })
  await clock.advance('4s')
  expect([fake.socket.of('message').length, room.entries[0]!.error]).toEqual([1, undefined])
  await clock.advance('1s')
  expect(fake.socket.of('message')).toHaveLength(2)
})

test('what is held can be taken back, and is sent if it is not', async () => {
  const { fake, room } = await join({ welcome: { latest: '0001' }, history: history(1, 1) })
  const first = room.ask({ type: 'delete', message: '0001' }, 5000)!
  await clock.advance('4s')
  room.discard(first.id)
  await clock.advance('10s')
  expect(fake.socket.of('delete')).toEqual([])
  room.ask({ type: 'delete', message: '0001' }, 5000)
  await clock.advance('6s')
  expect(fake.socket.of('delete')).toEqual([{ type: 'delete', message: '0001', id: 'id-2' }])
  fake.socket.tell({ type: 'ack', id: 'id-2' })
  room.ask({ type: 'delete', message: '0001' }, 5000)
  room.hasten() // the page goes
  expect(fake.socket.of('delete')).toHaveLength(2)
})

test('too much was missed: the page begins anew with the newest', async () => {
  const all = history(1, 200)
  const { fake, room } = await join({ welcome: { latest: '0200' }, history: all })
  expect([room.timeline.oldest!.$id, room.timeline.messages.length]).toEqual(['0151', 50])
  all.push(...history(201, 1000))
  fake.socket.tell({ type: 'gap', since: '0200', latest: '1000' }, { type: 'message', message: message('1001') })
  await clock.advance('1ms')
  expect([room.timeline.oldest!.$id, room.timeline.newest!.$id, room.timeline.messages.length]).toEqual(['0951', '1001', 51])
  fake.socket.drop()
  await clock.advance('1s')
  expect(fake.socket.parameters['since']).toBe('1001')
})

test('what was missed is new until it was looked at, however it comes', async () => {
  const { fake, room, looks, back } = await join({ welcome: { latest: '0002', read: '0002' }, history: history(1, 2), isLookedAt: true })
  await back({ latest: '0004', read: '0002', unread: 2, missed: 2 }, { type: 'message', message: message('0003') })
  expect([room.unread, room.newAfter, room.returns, room.missing]).toEqual([2, '0002', 1, 1])
  fake.socket.tell({ type: 'message', message: message('0004') }, { type: 'message', message: message('0005') })
  await clock.advance('1s')
  expect([room.unread, room.missing, fake.socket.of('read')]).toEqual([3, 0, []])
  room.markRead() // it was drawn
  fake.socket.tell({ type: 'message', message: message('0006') })
  await clock.advance('1s')
  expect([room.unread, fake.socket.of('read')]).toEqual([0, [{ type: 'read', at: '0006' }]])
  looks.at = false
  fake.socket.drop()
  await clock.advance('2001ms')
  fake.socket.accept()
  expect(room.missing).toBe(0)
})

test('of too much that was missed, too, it is known where it begins', async () => {
  const all = history(1, 200)
  const { fake, room, back } = await join({ welcome: { latest: '0200', read: '0200' }, history: all, isLookedAt: true })
  all.push(...history(201, 1000))
  await back({ latest: '1000', read: '0200', unread: 100, missed: 1 }, { type: 'gap', since: '0200', latest: '1000' })
  await clock.advance('1ms')
  expect([room.unread, room.newAfter, room.stretch, room.missing]).toEqual([100, '0200', 1, 0])
  expect(fake.socket.of('read')).toEqual([])
})

test('a room that is left ends when all that was asked of it is done', async () => {
  const { fake, room, outbox, back } = await join({ welcome: { latest: '0001' }, history: history(1, 1) })
  room.ask({ type: 'delete', message: '0001' }, 5000)
  room.part()
  expect(fake.socket.of('delete')).toEqual([{ type: 'delete', message: '0001', id: 'id-1' }])
  expect(room.connection.state).toBe('open')
  await back({ latest: '0001' }) // it was not acknowledged
  expect(fake.socket.of('delete')).toHaveLength(1)
  fake.socket.tell({ type: 'ack', id: 'id-1' })
  expect([room.connection.state, outbox.rooms]).toEqual(['ended', []])

  const idle = await join()
  idle.room.part()
  expect(idle.room.connection.state).toBe('ended')
})

test('of what fails in a room that was left the person is told, and it is given up', async () => {
  const { fake, room, outbox, told } = await join()
  room.ask({ type: 'message', content: 'one' })
  fake.socket.tell({ type: 'error', id: 'id-1', error: 'not today' })
  room.ask({ type: 'message', content: 'two' })
  room.part()
  expect(outbox.of('general').map(({ id }) => id)).toEqual(['id-2'])
  fake.socket.tell({ type: 'error', id: 'id-2', error: 'nor tomorrow' })
  expect([told.failed, outbox.of('general'), room.connection.state]).toEqual([['nor tomorrow'], [], 'ended'])
})

test('older pages come until there are no more, and a change meanwhile is in them', async () => {
  const all = history(1, 200)
  const { fake, room } = await join({ welcome: { latest: '0200' }, history: all })
  const loading = room.loadOlder()
  fake.socket.tell({ type: 'change', at: '0201', message: message('0100', 'bob', { $version: 2, content: 'edited' }) }) // before the page that was read earlier
  expect(await room.loadOlder()).toBe(false) // one at a time
  expect(await loading).toBe(true)
  expect(room.timeline.get('0100')!.content).toBe('edited')
  await room.loadOlder()
  expect([room.timeline.messages.length, room.timeline.complete]).toEqual([200, true])
  expect(await room.loadOlder()).toBe(false)
  expect(fake.asked).toHaveLength(3)
})

test('a page that fails can be asked for again', async () => {
  const { fake, room, back } = await join({ welcome: { latest: '0200' }, history: history(1, 200) })
  const answer = fake.answer
  fake.answer = () => {
    throw new TypeError('Failed to fetch')
  }
  expect(await room.loadOlder()).toBe(false)
  expect(room.loading).toBe('failed')
  fake.answer = answer
  await back({ latest: '0200' })
  await clock.advance('1ms')
  expect([room.loading, room.timeline.messages.length]).toEqual(['no', 150])
})

test('what others say is unread until it is read, here or in another window', async () => {
  const { fake, room, looks, back } = await join({ welcome: { latest: '0002', read: '0001', unread: 1 }, history: history(1, 2) })
  expect([room.unread, room.newAfter]).toEqual([1, '0001'])
  fake.socket.tell({ type: 'message', message: message('0003') }, { type: 'message', message: message('0004', 'ann') }, { type: 'message', message: message('0005') })
  expect(room.unread).toBe(3)
  fake.socket.tell({ type: 'read', at: '0003' })
  expect(room.unread).toBe(1)
  await back({ latest: '0006', read: '0003', unread: 2 }, { type: 'message', message: message('0006') }) // the room has counted it
  expect(room.unread).toBe(2)
  looks.at = true
  room.markRead()
  await clock.advance('1s')
  expect([room.unread, fake.socket.of('read')]).toEqual([0, [{ type: 'read', at: '0006' }]])
  fake.socket.tell({ type: 'message', message: message('0007') }, { type: 'message', message: message('0008') })
  await clock.advance('1s')
  expect([room.unread, fake.socket.of('read').slice(1)]).toEqual([0, [{ type: 'read', at: '0008' }]]) // once for both
  fake.socket.tell({ type: 'read', at: '0001' })
  expect(room.read).toBe('0008') // it only grows
})

test('what is read while the socket is gone is told when it is back', async () => {
  const { fake, room, back } = await join({ welcome: { latest: '0002', read: '0001', unread: 1 }, history: history(1, 2) })
  fake.socket.drop()
  room.markRead()
  await back({ latest: '0002', read: '0001', unread: 1 })
  expect([room.unread, fake.socket.of('read')]).toEqual([0, [{ type: 'read', at: '0002' }]])
})

test('nothing is new to who comes for the first time, and all to who joined an empty room', async () => {
  const first = await join({ welcome: { latest: '0002' }, history: history(1, 2), isOpen: false })
  expect([first.room.unread, first.fake.socket.of('read')]).toEqual([0, [{ type: 'read', at: '0002' }]])
  const again = await join({ welcome: { latest: '0002' }, history: history(1, 2), isOpen: false, wasJoined: true })
  expect([again.room.unread, again.fake.socket.of('read')]).toEqual([2, []])
})

test('a room that nobody looks at keeps little, and has the rest when it is opened', async () => {
  const all = history(1, 500)
  const { fake, room } = await join({ isOpen: false, welcome: { latest: '0100', read: '0100' }, history: all })
  expect(fake.asked).toEqual([])
  for (const each of all.slice(100)) fake.socket.tell({ type: 'message', message: each })
  expect([room.timeline.messages.length, room.timeline.complete, room.unread]).toEqual([200, false, 400])
  room.open()
  await room.loadOlder()
  expect([room.timeline.oldest!.$id, room.newAfter]).toEqual(['0201', '0100'])
})

test('the others hear of typing now and then, and of its end by the message', async () => {
  const { fake, room } = await join()
  const typing = () => fake.socket.of('typing').length
  room.ownTyping.note()
  room.ownTyping.note()
  expect(typing()).toBe(1)
  await clock.advance('3s')
  expect(typing()).toBe(2) // the second, late
  room.ownTyping.note()
  room.ask({ type: 'message', content: 'one' })
  await clock.advance('10s')
  expect(typing()).toBe(2)
  fake.socket.tell({ type: 'typing', user: 'bob' }, { type: 'typing', user: 'ann' })
  expect(room.typing.users(Date.now())).toEqual(['bob'])
  fake.socket.tell({ type: 'message', message: message('0001') })
  expect(room.typing.users(Date.now())).toEqual([])
})

test('what is no message, no frame, or of a later version is passed over', async () => {
  const { fake, room, told } = await join()
  fake.socket.onmessage!({ data: 'x' })
  fake.socket.onmessage!({ data: new ArrayBuffer(1) })
  fake.socket.tell({ type: 'poll' }, { type: 'message' }, { type: 'message', message: { $id: '0001' } }, { type: 'change', at: '0002', message: null }, { type: 'ack', id: 'unknown', message: 5 })
  expect(room.timeline.messages).toEqual([])
  expect([told.arrived, told.failed]).toEqual([[], []])
})

test('where a crowd has left that was not named, the room is asked who is here', async () => {
  const { fake, room } = await join({ welcome: { users: ['ann', 'bob', 'cem', 'dana'], count: 4 } })
  fake.answer = () => ({ users: [{ user: 'ann', sockets: 1 }, { user: 'dana', sockets: 2 }], count: 2 })
  fake.socket.tell({ type: 'presence', joined: [], left: ['bob'], count: 3 })
  await clock.advance('1ms')
  expect(room.presence.users).toEqual(['ann', 'cem', 'dana'])
  fake.asked.length = 0
  for (const count of [2, 2]) fake.socket.tell({ type: 'presence', joined: [], left: [], more: 1, count })
  await clock.advance('1ms')
  expect(room.presence.users).toEqual(['ann', 'dana'])
  expect(fake.asked).toEqual(['GET /rooms/general/presence'])
})
