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

test('no room and nobody is called what an address takes for a folder', async () => {
  for (const name of ['%2e', '%2e%2e']) {
    await expect(connect(`/ws/${name}?user=ann`)).rejects.toThrow('400')
    await expect(connect(`/ws/tea?user=${name}`)).rejects.toThrow('400')
  }
  await connect('/ws/...?user=.ann')
})

test('a room that is told of twice is listed once', async () => {
  const room = { $id: 'tea', name: 'tea', $createdAt: new Date(clock.now()), $version: 1 }
  await call.App('default').note(room)
  await call.App('default').note(room)
  expect(await rooms()).toEqual([{ room: 'tea', created: room.$createdAt.toISOString() }])
})
