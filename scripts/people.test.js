import { test, expect, connect, request, clock, hibernate } from 'dotdo/test'

const kinds = (socket, type) => socket.frames.filter((frame) => frame.type === type)
const say = async (socket, content) => {
  socket.send({ type: 'message', content })
  return (await socket.nextWhere({ type: 'message', message: { content } })).message
}

test('the others see who is typing, at most once in two seconds', async () => {
  const ann = await connect('/ws/general?user=ann')
  const tab = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  for (let i = 0; i < 5; i++) (i % 2 ? ann : tab).send({ type: 'typing' })
  expect(await bob.nextWhere({ type: 'typing' })).toEqual({ type: 'typing', user: 'ann' })
  await clock.advance('1900ms')
  ann.send({ type: 'typing' })
  await clock.advance('50ms')
  expect(kinds(bob, 'typing')).toHaveLength(1)
  await clock.advance('50ms')
  tab.send({ type: 'typing', id: 't' })
  expect(await tab.nextWhere({ type: 'ack' })).toEqual({ type: 'ack', id: 't' })
  await clock.advance('50ms')
  expect(kinds(bob, 'typing')).toHaveLength(2)
  expect(kinds(ann, 'typing').concat(kinds(tab, 'typing'))).toEqual([])
  bob.send({ type: 'typing' }) // each by themselves
  expect(await ann.nextWhere({ type: 'typing' })).toEqual({ type: 'typing', user: 'bob' })
})

test('in a crowd nobody is told who types', async () => {
  const ann = await connect('/ws/general?user=ann')
  for (let i = 0; i < 200; i++) await connect(`/ws/general?user=user${i}`)
  const eve = await connect('/ws/general?user=eve')
  eve.send({ type: 'typing', id: '1' })
  await eve.nextWhere({ type: 'ack' })
  await clock.advance('1s')
  expect(kinds(ann, 'typing')).toEqual([])
})

test('a room knows how far somebody has read, and how much is new', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const tab = await connect('/ws/general?user=bob')
  expect(await bob.nextWhere({ type: 'welcome' })).toMatchObject({ read: null, unread: 0 })
  const [one, two] = [await say(ann, 'one'), await say(ann, 'two')]
  bob.send({ type: 'read', at: two.$id, id: 'r' })
  expect(await bob.nextWhere({ type: 'ack', id: 'r' })).toEqual({ type: 'ack', id: 'r' })
  expect(await tab.nextWhere({ type: 'read' })).toEqual({ type: 'read', at: two.$id })
  bob.send({ type: 'read', at: one.$id }) // it only grows
  bob.send({ type: 'read', at: two.$id })
  await say(ann, 'three')
  await say(bob, 'mine')
  const four = await say(ann, 'four')
  const gone = await say(ann, 'gone')
  ann.send({ type: 'delete', message: gone.$id })
  const { at } = await ann.nextWhere({ type: 'change' })
  await clock.advance('1s')
  await hibernate('Room/general')
  const again = await connect('/ws/general?user=bob')
  expect(await again.next()).toMatchObject({ type: 'welcome', read: two.$id, unread: 2 })
  again.send({ type: 'read', at: four.$id })
  await tab.nextWhere({ type: 'read', at: four.$id })
  again.send({ type: 'read', at }) // the position of a change
  await tab.nextWhere({ type: 'read', at })
  expect(kinds(tab, 'read')).toHaveLength(3)
  expect(kinds(again, 'read').concat(kinds(ann, 'read'))).toEqual([])
  expect(await (await connect('/ws/general?user=bob')).next()).toMatchObject({ read: at, unread: 0 })
  expect(await (await connect('/ws/general?user=ann')).next()).toMatchObject({ read: null, unread: 0 })
  expect(await (await connect('/ws/other?user=bob')).next()).toMatchObject({ read: null, unread: 0 })
})

test('what is new is counted up to a hundred', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const first = await say(ann, 'first')
  bob.send({ type: 'read', at: first.$id })
  for (let i = 0; i < 150; i++) await say(bob, `mine ${i}`)
  for (let i = 0; i < 99; i++) await say(ann, `new ${i}`)
  expect(await (await connect('/ws/general?user=bob')).next()).toMatchObject({ unread: 99 })
  await say(ann, 'new')
  await clock.advance('1m')
  await say(ann, 'new')
  expect(await (await connect('/ws/general?user=bob')).next()).toMatchObject({ unread: 100 })
})

test('a position that is none is not read', async () => {
  const ann = await connect('/ws/general?user=ann')
  const elsewhere = await say(await connect('/ws/other?user=ann'), 'hello')
  for (const at of ['unknown', 'general', '', elsewhere.$id, 'x'.repeat(65), 'ä', 7, null, undefined, {}, '__proto__']) {
    ann.send({ type: 'read', at, id: 'r' })
    expect(await ann.nextWhere({ type: 'error' })).toEqual({ type: 'error', id: 'r', error: 'at is a position in this room' })
  }
  expect(await (await connect('/ws/general?user=ann')).next()).toMatchObject({ read: null })
})

test('who is too fast is told how long to wait, over all their sockets', async () => {
  const ann = await connect('/ws/general?user=ann')
  const tab = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  const send = async (i) => {
    const socket = i % 2 ? ann : tab
    socket.send({ type: 'message', id: `${i}`, content: `${i}` })
    return socket.nextWhere((frame) => frame.id === `${i}`)
  }
  for (let i = 0; i < 198; i++) expect(await send(i)).toMatchObject({ type: 'ack' })
  ann.send({ type: 'typing' })
  ann.send('what is no frame counts, too')
  await ann.nextWhere({ type: 'error' })
  const late = await send(198)
  expect(late).toEqual({ type: 'error', id: '198', error: 'that is too fast', retryAfter: 1 })
  ann.send('no frame')
  expect(await ann.nextWhere({ retryAfter: 1 })).toEqual({ type: 'error', error: 'that is too fast', retryAfter: 1 })
  bob.send({ type: 'message', id: '1', content: 'and I?' })
  await bob.nextWhere({ type: 'ack' })
  const other = await connect('/ws/other?user=ann')
  other.send({ type: 'message', id: '1', content: 'elsewhere' })
  await other.nextWhere({ type: 'ack' })
  await clock.advance('1s') // twenty more
  for (let i = 198; i < 218; i++) expect(await send(i)).toMatchObject({ type: 'ack' })
  expect(await send(218)).toMatchObject({ type: 'error' })
  await clock.advance('10s')
  for (let i = 218; i < 418; i++) expect(await send(i)).toMatchObject({ type: 'ack' })
  expect(await send(418)).toMatchObject({ type: 'error' })
  await clock.advance('1s')
  const messages = await (await request('GET', '/rooms/general/messages?limit=2')).json()
  expect(messages.map(({ content }) => content)).toEqual(['417', '416'])
})

test('a person who left is back as if they had not been away', async () => {
  const ann = await connect('/ws/general?user=ann')
  const bob = await connect('/ws/general?user=bob')
  await ann.nextWhere({ type: 'presence' })
  bob.close()
  await bob.closed()
  const cat = await connect('/ws/general?user=cat')
  expect(await cat.next()).toMatchObject({ users: ['ann', 'bob', 'cat'], count: 3 }) // bob has not left yet
  expect(await ann.next()).toMatchObject({ joined: ['cat'], left: [], count: 3 }) // who comes is told as soon as ever
  await clock.advance('1s')
  cat.close()
  expect(await ann.next({ timeout: 4500 })).toMatchObject({ joined: [], left: ['bob'], count: 2 })
  expect(await ann.next({ timeout: 1500 })).toMatchObject({ joined: [], left: ['cat'], count: 1 })
  await connect('/ws/general?user=bob')
  expect(await ann.next()).toMatchObject({ joined: ['bob'], left: [], count: 2 })
})
