import { test, expect, connect, request, clock, hibernate } from 'dotdo/test'

const page = async (query = '') => (await request('GET', `/rooms/general/messages${query}`)).json()

/** What a socket was told of messages. */
const told = (socket) => socket.frames.filter((frame) => ['message', 'change', 'gap'].includes(frame.type))

/** Sends a frame, and returns the message in its acknowledgement. */
async function act(socket, frame) {
  socket.send(frame)
  return (await socket.nextWhere({ type: 'ack', id: frame.id })).message
}

/** The error that answers a frame. */
async function refused(socket, frame) {
  socket.send(frame)
  return (await socket.nextWhere({ type: 'error' })).error
}

test('an author edits and deletes a message, and everybody sees it as it is', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const said = await act(ann, { type: 'message', id: '1', content: 'helo' })
  const edited = await act(ann, { type: 'edit', id: '2', message: said.$id, content: 'hello' })
  expect(edited).toMatchObject({ $id: said.$id, author: 'ann', content: 'hello', sent: said.sent, edited: expect.any(String) })
  const change = await bob.nextWhere({ type: 'change' })
  expect(change).toEqual({ type: 'change', at: expect.any(String), message: edited })
  expect(change.at > said.$id).toBe(true)
  const latest = async () => (await (await connect('/ws/general?user=cat')).next()).latest
  expect(await latest()).toBe(change.at)
  expect(await page()).toEqual([edited])

  bob.send({ type: 'react', message: said.$id, emoji: '👍', on: true })
  await ann.nextWhere({ type: 'change', message: { reactions: { '👍': ['bob'] } } })
  const deleted = await act(ann, { type: 'delete', id: '3', message: said.$id })
  expect(deleted).toMatchObject({ $id: said.$id, author: 'ann', content: '', deleted: expect.any(String) })
  expect(deleted.reactions).toBeUndefined()
  const gone = await bob.nextWhere({ type: 'change', message: { content: '' } })
  expect(gone.message).toEqual(deleted)
  expect(gone.at > change.at).toBe(true)
  expect(await latest()).toBe(gone.at)
  expect(await page()).toEqual([deleted])
})

test('a message is its author’s: nobody else edits or deletes it', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const { $id } = await act(ann, { type: 'message', id: '1', content: 'hello' })
  for (const frame of [{ type: 'edit', content: 'mine' }, { type: 'delete' }]) {
    expect(await refused(bob, { ...frame, message: $id, author: 'ann' })).toBe('the message is not yours')
  }
  const other = await connect('/ws/other?user=ann')
  for (const id of [$id, 'general', 'unknown', '__proto__']) {
    for (const frame of [{ type: 'edit', content: 'x' }, { type: 'delete' }, { type: 'react', emoji: 'x', on: true }]) {
      expect(await refused(other, { ...frame, message: id })).toBe('there is no such message in this room')
    }
  }
  await clock.advance('1s')
  expect(told(ann)).toHaveLength(1)
})

test('a deleted message stays deleted', async () => {
  const ann = await connect('/ws/general?user=ann')
  const tab = await connect('/ws/general?user=ann')
  const { $id } = await act(ann, { type: 'message', id: '1', content: 'hello' })
  const deleted = await act(tab, { type: 'delete', id: '2', message: $id })
  expect(await refused(ann, { type: 'edit', message: $id, content: 'again' })).toBe('the message is deleted')
  expect(await refused(ann, { type: 'react', message: $id, emoji: 'x', on: true })).toBe('the message is deleted')
  expect(await act(ann, { type: 'delete', id: '3', message: $id })).toEqual(deleted)
  expect(await act(ann, { type: 'react', id: '4', message: $id, emoji: 'x', on: false })).toEqual(deleted)
  expect(await page()).toEqual([deleted])
  expect(told(ann)).toHaveLength(2) // that it was said, and deleted once
})

test('what is so already is acknowledged, and nobody is told', async () => {
  const ann = await connect('/ws/general?user=ann')
  const { $id } = await act(ann, { type: 'message', id: '1', content: 'hello' })
  const thumb = { type: 'react', message: $id, emoji: '👍' }
  const on = await act(ann, { ...thumb, id: '2', on: true })
  expect(await act(ann, { ...thumb, id: '3', on: true })).toEqual(on)
  const off = await act(ann, { ...thumb, id: '4', on: false })
  expect(off.reactions).toBeUndefined()
  expect(await act(ann, { ...thumb, id: '5', on: false })).toEqual(off)
  expect(await act(ann, { type: 'edit', id: '6', message: $id, content: 'hello' })).toEqual(off)
  expect(told(ann)).toHaveLength(3)
})

test('a change with an id is made once, over every socket and through a sleep', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const { $id } = await act(ann, { type: 'message', id: 'm', content: 'one' })
  const first = { type: 'edit', id: 'e', message: $id, content: 'two' }
  ann.send(first)
  ann.send(first) // before it is stored
  await ann.nextWhere({ type: 'ack', id: 'e' })
  const three = await act(ann, { type: 'edit', id: 'f', message: $id, content: 'three' })
  await clock.advance('1h')
  await hibernate('Room/general')
  const tab = await connect('/ws/general?user=ann')
  expect(await act(tab, first)).toEqual(three) // as it is now: what came later stands
  const reacted = await act(bob, { type: 'react', id: 'e', message: $id, emoji: 'x', on: true }) // an id of his own
  const calm = await act(bob, { type: 'react', id: 'g', message: $id, emoji: 'x', on: false })
  await hibernate('Room/general')
  expect(await act(bob, { type: 'react', id: 'e', message: $id, emoji: 'x', on: true })).toEqual(calm)
  const deleted = await act(ann, { type: 'delete', id: 'd', message: $id })
  for (const id of ['m', 'e', 'f', 'd']) expect(await act(ann, { type: 'message', id, content: 'again' })).toEqual(deleted)
  expect(reacted.reactions).toEqual({ x: ['bob'] })
  await clock.advance('1s')
  expect(told(bob).map((frame) => frame.message.content)).toEqual(['one', 'two', 'three', 'three', 'three', ''])
  expect(await page()).toEqual([deleted])
})

test('what was refused was not done: its id is free', async () => {
  const ann = await connect('/ws/general?user=ann')
  const { $id } = await act(ann, { type: 'message', id: '1', content: 'hello' })
  expect(await refused(ann, { type: 'edit', id: '2', message: 'unknown', content: 'x' })).toBe('there is no such message in this room')
  expect(await act(ann, { type: 'edit', id: '2', message: $id, content: 'hi' })).toMatchObject({ content: 'hi' })
})

test('reactions are by person and emoji, and bounded', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const { $id } = await act(ann, { type: 'message', id: '1', content: 'hello' })
  let n = 0
  const react = (socket, emoji, on = true) => act(socket, { type: 'react', id: `r${n++}`, message: $id, emoji, on })
  await react(ann, '👍')
  await react(bob, '👍')
  for (const emoji of ['👨‍👩‍👧‍👦', '❤️', '+1', 'constructor', 'toString', 'hasOwnProperty', 'x'.repeat(32)]) {
    expect((await react(bob, emoji)).reactions[emoji]).toEqual(['bob'])
    await react(ann, emoji)
    expect((await react(bob, emoji, false)).reactions[emoji]).toEqual(['ann'])
    expect((await react(ann, emoji, false)).reactions).toEqual({ '👍': ['ann', 'bob'] })
  }
  const bad = ['', ' ', 'a b', 'a\u00a0b', 'a\u2028', '\u0000', '\u0085', '\ud83d', '\udc4d', '\ud83dx', 'x'.repeat(33), '__proto__', 7, null, undefined, {}, ['👍']]
  for (const emoji of bad) {
    expect(await refused(ann, { type: 'react', message: $id, emoji, on: true })).toContain('emoji is')
    await clock.advance('100ms')
  }
  for (const on of [undefined, 1, 'true', null]) expect(await refused(ann, { type: 'react', message: $id, emoji: 'x', on })).toBe('on is true or false')

  for (let i = 1; i < 20; i++) await react(ann, `:${i}:`)
  expect(await refused(ann, { type: 'react', message: $id, emoji: 'one more', on: true })).toContain('emoji is')
  expect(await refused(ann, { type: 'react', message: $id, emoji: 'one-more', on: true })).toBe('a message has at most 20 emoji')
  await react(bob, ':1:')
  for (let i = 0; i < 178; i++) {
    const guest = await connect(`/ws/general?user=guest${i}`)
    await act(guest, { type: 'react', id: 'r', message: $id, emoji: '👍', on: true })
    guest.close()
  }
  expect(await refused(bob, { type: 'react', message: $id, emoji: ':2:', on: true })).toBe('a message has at most 200 reactions')
  await react(bob, ':1:', false)
  await react(bob, ':2:')
})

test('who comes back is told what changed meanwhile, every message once', async () => {
  const ann = await connect('/ws/general?user=ann')
  const [one, two, three] = [
    await act(ann, { type: 'message', id: '1', content: 'one' }),
    await act(ann, { type: 'message', id: '2', content: 'two' }),
    await act(ann, { type: 'message', id: '3', content: 'three' }),
  ]
  await act(ann, { type: 'edit', id: '4', message: one.$id, content: 'ONE' })
  const before = told(ann)[3].at
  await act(ann, { type: 'edit', id: '5', message: two.$id, content: 'TWO' })
  const four = await act(ann, { type: 'message', id: '6', content: 'four' })
  await act(ann, { type: 'react', id: '7', message: one.$id, emoji: 'x', on: true })
  await act(ann, { type: 'edit', id: '8', message: four.$id, content: 'FOUR' })
  await act(ann, { type: 'delete', id: '9', message: two.$id })
  const live = told(ann)
  const latest = live[live.length - 1].at

  const after = async (since) => {
    const socket = await connect(`/ws/general?user=bob&since=${since}`)
    expect(await socket.next()).toMatchObject({ type: 'welcome', latest })
    await clock.advance('1s')
    return told(socket)
  }
  expect((await after('')).map((frame) => [frame.type, frame.message.content])).toEqual([
    ['message', 'ONE'], ['message', ''], ['message', 'three'], ['message', 'FOUR'],
  ])
  const missed = await after(three.$id)
  expect(missed.map((frame) => [frame.type, frame.message.content])).toEqual([['message', 'FOUR'], ['change', 'ONE'], ['change', '']])
  const positions = missed.map((frame) => frame.at ?? frame.message.$id)
  expect(positions).toEqual([...positions].sort())
  expect((await after(before)).map((frame) => frame.message.content)).toEqual(['FOUR', 'ONE', ''])
  expect((await after(positions[0])).map((frame) => frame.message.content)).toEqual(['ONE', 'FOUR', ''])
  expect((await after(positions[1])).map((frame) => frame.message.content)).toEqual(['FOUR', ''])
  expect(await after(latest)).toEqual([])
  for (const position of [before, latest]) { // of a change
    expect((await page(`?after=${position}`)).map((message) => message.content)).toEqual(position === before ? ['FOUR'] : [])
    expect(await page(`?before=${position}`)).toHaveLength(position === before ? 3 : 4)
  }
})

test('who has missed too many changes is told of a gap', async () => {
  const ann = await connect('/ws/general?user=ann')
  const { $id } = await act(ann, { type: 'message', id: 'm', content: 'hello' })
  for (let i = 0; i < 250; i++) {
    for (const on of [true, false]) await act(ann, { type: 'react', id: `${i}${on}`, message: $id, emoji: 'x', on })
    await clock.advance('100ms')
  }
  const bob = await connect(`/ws/general?user=bob&since=${$id}`)
  expect(await bob.nextWhere({ type: 'change' })).toMatchObject({ message: { $id } })
  await act(ann, { type: 'edit', id: 'e', message: $id, content: 'hello!' })
  const latest = told(ann)[501].at
  const cat = await connect(`/ws/general?user=cat&since=${$id}`)
  expect(await cat.next()).toMatchObject({ type: 'welcome', latest })
  expect(await cat.next()).toEqual({ type: 'gap', since: $id, latest })
  expect(told(bob)).toHaveLength(2) // what came live, too
})
