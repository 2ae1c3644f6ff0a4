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
  expect(await ann.next()).toEqual({ type: 'welcome', room: 'general', user: 'ann', users: ['ann'], count: 1 })
  const bob = await connect('/ws/general?user=bob')
  const zoe = await connect('/ws/general?user=zoe')
  expect(await zoe.next()).toMatchObject({ type: 'welcome', count: 2 }) // bob is not told of yet
  expect(await ann.next()).toEqual({ type: 'presence', joined: ['bob', 'zoe'], left: [], count: 3 })
  bob.close()
  expect(await ann.next()).toEqual({ type: 'presence', joined: [], left: ['bob'], count: 2 })
})

test('who is back within a quarter of a second did not leave', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  await ann.nextWhere({ type: 'presence', joined: ['bob'] })
  bob.close()
  await bob.closed()
  await clock.advance('200ms')
  await connect('/ws/general?user=bob')
  await clock.advance('1m')
  expect(ann.frames).toHaveLength(2) // her welcome, and that bob came
})

test('the history is the newest first, and only as long as asked', async () => {
  const ann = await connect('/ws/general?user=ann')
  for (const content of ['one', 'two', 'three']) {
    ann.send({ type: 'message', content })
    await clock.advance('1s')
  }
  expect((await messages('general')).map((m) => m.content)).toEqual(['three', 'two', 'one'])
  const newest = await request('GET', '/rooms/general/messages?limit=1')
  expect(await newest.json()).toMatchObject([{ content: 'three', author: 'ann' }])
  expect((await request('GET', '/rooms/general/messages?limit=none')).status).toBe(400)
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
