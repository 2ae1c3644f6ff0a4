import { test, expect, connect, call, request, clock } from 'dotdo/test'

const rooms = async (query = '') => (await request('GET', `/rooms${query}`)).json()

test('a room is listed once somebody was in it', async () => {
  expect(await rooms()).toEqual([])
  await connect('/ws/tea?user=ann')
  await connect('/ws/coffee?user=ann')
  await connect('/ws/tea?user=bob')
  await clock.advance('1s')
  expect((await rooms()).map(({ room }) => room)).toEqual(['coffee', 'tea'])
  for (const after of ['coffee', 'd', 'coffee%00']) expect(await rooms(`?after=${after}`)).toMatchObject([{ room: 'tea' }])
  expect(await rooms('?after=tea')).toEqual([])
})

test('a room that is told of twice is listed once', async () => {
  const room = { $id: 'tea', name: 'tea', $createdAt: new Date(clock.now()) }
  await call.App('default').addRoom(room)
  await call.App('default').addRoom(room)
  expect(await rooms()).toEqual([{ room: 'tea', created: room.$createdAt.toISOString() }])
})
