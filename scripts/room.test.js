import { test, expect, connect, request, clock, hibernate } from 'dotdo/test'

const messages = async (room) => (await request('GET', `/rooms/${room}/messages`)).json()

test('a message reaches everybody in the room, and nobody elsewhere', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const eve = await connect('/ws/other?user=eve')
  ann.send({ type: 'message', content: 'hello' })
  const { message } = await bob.nextWhere({ type: 'message' })
  expect(message).toMatchObject({ room: 'general', author: 'ann', content: 'hello' })
  expect(await ann.nextWhere({ type: 'message' })).toEqual({ type: 'message', message })
  await clock.advance('1s')
  expect(eve.frames).toHaveLength(1) // the welcome
})

test('who comes is told who is here, the others in one frame who came and left', async () => {
  const ann = await connect('/ws/general?user=ann')
  expect(await ann.next()).toEqual({
    type: 'welcome', room: 'general', user: 'ann', users: ['ann'], count: 1, latest: null, read: null, unread: 0, private: false, missed: 0,
  })
  const bob = await connect('/ws/general?user=bob')
  const zoe = await connect('/ws/general?user=zoe')
  expect(await zoe.next()).toMatchObject({ type: 'welcome', count: 2 }) // bob is not told of yet
  expect(await ann.next()).toEqual({ type: 'presence', joined: ['bob', 'zoe'], left: [], count: 3 })
  bob.close()
  expect(await ann.next({ timeout: 5300 })).toEqual({ type: 'presence', joined: [], left: ['bob'], count: 2 })
})

test('who is back within five seconds did not leave', async () => {
  const ann = await connect('/ws/general?user=ann')
  let bob = await connect('/ws/general?user=bob')
  await ann.nextWhere({ type: 'presence', joined: ['bob'] })
  for (let i = 0; i < 3; i++) {
    bob.close()
    await bob.closed()
    await clock.advance('4900ms')
    bob = await connect('/ws/general?user=bob')
    expect(await bob.next()).toMatchObject({ type: 'welcome', users: ['ann', 'bob'], count: 2 })
  }
  await clock.advance('1m')
  expect(ann.frames).toHaveLength(2) // her welcome, and that bob came
  bob.close()
  await bob.closed()
  await clock.advance('5s')
  expect(ann.frames).toHaveLength(2)
  expect(await ann.next({ timeout: 300 })).toEqual({ type: 'presence', joined: [], left: ['bob'], count: 1 })
})

test('a room that sleeps forgets nothing that counts', async () => {
  const ann = await connect('/ws/general?user=ann')
  ann.send({ type: 'message', content: 'good night' })
  await clock.advance('1m')
  await hibernate('Room/general')
  const bob = await connect('/ws/general?user=bob')
  expect(await bob.next()).toMatchObject({ type: 'welcome', users: ['ann', 'bob'] })
  await clock.advance('1s')
  await hibernate('Room/general')
  bob.send({ type: 'message', content: 'good morning' })
  expect(await ann.nextWhere({ message: { author: 'bob' } })).toMatchObject({ message: { content: 'good morning' } })
  expect(await messages('general')).toHaveLength(2)
})

test('what is no message is answered with an error, and goes no further', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bad = ['no JSON', '[]', { type: 'shout' }, { type: 'message' }, { type: 'message', content: ' ' }, { type: 'message', content: 'x'.repeat(4001) }]
  for (const input of bad) {
    ann.send(input)
    expect(await ann.nextWhere({ type: 'error' })).toEqual({ type: 'error', error: expect.any(String) })
  }
  ann.send(new Uint8Array([1, 2]))
  expect(await ann.nextWhere({ type: 'error' })).toMatchObject({ error: 'a message is text, not binary' })
  expect(await messages('general')).toEqual([])
})

test('a message with an id is said once, and acknowledged each time with the same', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  await ann.nextWhere({ type: 'presence' })
  const said = { type: 'message', id: 'a-1', content: 'hello @bob' }
  ann.send(said)
  ann.send({ ...said, content: 'something else' }) // before the first one is stored
  const { message } = await ann.next()
  expect(message).toMatchObject({ id: 'a-1', author: 'ann', content: 'hello @bob' })
  expect(await ann.next()).toEqual({ type: 'ack', id: 'a-1', message }) // after the message itself
  expect(await ann.next()).toEqual({ type: 'ack', id: 'a-1', message })

  await clock.advance('1h')
  await hibernate('Room/general')
  const again = await connect('/ws/general?user=ann')
  again.send(said)
  expect(await again.nextWhere({ type: 'ack' })).toEqual({ type: 'ack', id: 'a-1', message })
  await clock.advance('1s')
  expect(bob.frames.filter((frame) => frame.type === 'message')).toEqual([{ type: 'message', message }])
  expect(await messages('general')).toEqual([message])
  const inbox = await connect('/users/bob/inbox')
  await clock.advance('1s')
  expect(inbox.frames).toHaveLength(1) // one event
})

test('what was done is acknowledged, whatever else is sent with its id', async () => {
  const ann = await connect('/ws/general?user=ann')
  ann.send({ type: 'message', id: 'one', content: 'hello' })
  const said = await ann.nextWhere({ type: 'ack' })
  for (const other of [{ type: 'shout' }, { type: 'typing' }, { type: 'read', at: 7 }, { type: 'message', content: 'x'.repeat(4001) }, { type: 'edit' }, {}]) {
    ann.send({ ...other, id: 'one' })
    expect(await ann.next()).toEqual(said)
  }
  expect(await messages('general')).toEqual([said.message])
})

test('an id belongs to its author and its room', async () => {
  const authors = ['/ws/general?user=ann', '/ws/general?user=bob', '/ws/other?user=ann']
  for (const path of authors) {
    const author = await connect(path)
    author.send({ type: 'message', id: 'one', content: path })
    expect(await author.nextWhere({ type: 'ack' })).toMatchObject({ id: 'one', message: { content: path } })
  }
  expect(await messages('general')).toHaveLength(2)
})

test('an id is checked, and every answer to its message has it', async () => {
  const ann = await connect('/ws/general?user=ann')
  for (const id of ['', 7, null, {}, 'x'.repeat(65), 'a\u0000', 'a\nb', '\u007f', 'ä', '\ud800']) {
    ann.send({ type: 'message', id, content: 'hello' })
    const answer = await ann.nextWhere({ type: 'error' })
    expect(answer.error).toContain('the id of a message')
    expect(answer.id).toBeUndefined()
  }
  for (const bad of [{ type: 'shout' }, { content: 7 }, { content: ' ' }, { content: 'x'.repeat(4001) }]) {
    ann.send({ type: 'message', content: 'hello', id: 'mine', ...bad })
    expect(await ann.nextWhere({ type: 'error' })).toEqual({ type: 'error', error: expect.any(String), id: 'mine' })
  }
  expect(await messages('general')).toEqual([])
  for (const id of ['mine', 'x'.repeat(64), '~ !"#$%:/\\', '__proto__']) { // what was refused was not said
    ann.send({ type: 'message', id, content: 'hello' })
    expect(await ann.nextWhere({ type: 'ack' })).toMatchObject({ id, message: { id, content: 'hello' } })
  }
})

test('an author is who has the socket, whatever the message says', async () => {
  const ann = await connect('/ws/general?user=ann')
  ann.send({ type: 'message', content: 'I am bob', author: 'bob', room: 'other' })
  expect(await ann.nextWhere({ type: 'message' })).toMatchObject({ message: { author: 'ann', room: 'general' } })
})

test('names of rooms and users are checked', async () => {
  await expect(connect('/ws/general?user=a%20b')).rejects.toThrow('400')
  await expect(connect('/ws/a%20b?user=ann')).rejects.toThrow('the name of a room')
  expect((await request('GET', '/ws/general?user=ann')).status).toBe(426)
})
