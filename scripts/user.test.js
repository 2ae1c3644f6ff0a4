import { test, expect, connect, call, clock, hibernate, request } from 'dotdo/test'

test('a person who has set nothing is called by their id', async () => {
  expect(await call.User('ann').profile.name).toBe('ann')
})

test('a profile is what was put, field by field', async () => {
  await request('PUT', '/users/ann/profile', { body: { name: 'Ann' } })
  const put = await request('PUT', '/users/ann/profile', { body: { about: ' here ' } })
  expect(await put.json()).toMatchObject({ $type: 'User', $id: 'ann', name: 'Ann', about: 'here' })
  expect(await call.User('ann').getProfile()).toMatchObject({ name: 'Ann', about: 'here' })
})

test('what is no profile is refused, and changes nothing', async () => {
  for (const body of [{ name: '' }, { name: 1 }, { admin: 'yes' }, [], 'no JSON']) {
    const answer = await request('PUT', '/users/ann/profile', { body })
    expect(answer.status).toBe(400)
  }
  expect(await call.User('ann').getProfile()).toEqual({ $type: 'User', $id: 'ann', name: 'ann' })
  await expect(call.User('ann').setProfile({ admin: 'yes' })).rejects.toThrow('a profile has no "admin"')
})

test('an inbox has what was told until it is seen', async () => {
  await call.User('ann').notify('one')
  await call.User('ann').notify('two')
  const inbox = await connect('/users/ann/inbox')
  const tab = await connect('/users/ann/inbox')
  await call.User('ann').notify('three')
  const told = []
  for (const notification of ['one', 'two', 'three']) {
    told.push(await inbox.next())
    expect(told[told.length - 1]).toEqual({ type: 'notification', id: expect.any(String), notification })
    expect(await tab.next()).toEqual(told[told.length - 1])
  }
  await hibernate('User/ann')
  inbox.send({ type: 'seen', id: told[1].id })
  expect(await tab.next()).toEqual({ type: 'seen', id: told[1].id })
  tab.send({ type: 'seen', id: told[0].id }) // late
  await clock.advance('1s')
  const again = await connect('/users/ann/inbox')
  expect(await again.next()).toEqual(told[2])
  again.send({ type: 'seen', id: told[2].id })
  await tab.nextWhere({ type: 'seen', id: told[2].id })
  await call.User('ann').notify('four')
  const last = await connect('/users/ann/inbox')
  expect(await last.next()).toMatchObject({ notification: 'four' })
  await inbox.nextWhere({ notification: 'four' })
  expect(inbox.frames.map((frame) => frame.type)).toEqual(['notification', 'notification', 'notification', 'seen', 'notification'])
})

test('what was told anew since can be seen, and all before it, but not what it became', async () => {
  const mention = (message, content) => ({ type: 'mention', room: 'general', from: 'ann', message, content })
  const inbox = await connect('/users/bob/inbox')
  const tab = await connect('/users/bob/inbox')
  await call.User('bob').mentioned(mention('1', '@bob one'), 1)
  await call.User('bob').mentioned(mention('2', '@bob two'), 1)
  await inbox.next()
  const { id } = await inbox.next()
  await call.User('bob').mentioned(mention('2'), 2)
  await call.User('bob').mentioned(mention('2', '@bob again'), 3)
  inbox.send({ type: 'seen', id })
  await tab.nextWhere({ type: 'seen', id })
  const again = await connect('/users/bob/inbox')
  expect(await again.next()).toMatchObject({ notification: { content: '@bob again' } })
})

test('an inbox takes nothing but what was seen', async () => {
  await request('PUT', '/users/ann/profile', { body: { name: 'Ann' } })
  await call.User('ann').notify('one')
  const inbox = await connect('/users/ann/inbox')
  const { id } = await inbox.next()
  const tab = await connect('/users/ann/inbox')
  const bad = ['no JSON', '[]', 'null', {}, { type: 'seen' }, { type: 'seen', id: 7 }, { type: 'seen', id: {} }, { type: 'message', content: 'x' }, { type: 'seen', id: 'x'.repeat(100_000) }]
  for (const frame of bad) {
    inbox.send(frame)
    expect(await inbox.next()).toEqual({ type: 'error', error: expect.any(String) })
  }
  for (const unknown of ['zzzz', 'ann', '__proto__', '0', id.toLowerCase(), id.slice(1), `Z${id.slice(1)}`]) inbox.send({ type: 'seen', id: unknown })
  await clock.advance('1s')
  expect(await (await connect('/users/ann/inbox')).next()).toMatchObject({ id, notification: 'one' })
  expect(tab.frames).toHaveLength(1)
  expect(await call.User('ann').profile.name).toBe('Ann')
})

test('the rooms that somebody has joined are kept in that order', async () => {
  const rooms = async (method, room = '') => (await (await request(method, `/users/ann/rooms${room && '/' + room}`)).json()).rooms
  expect(await rooms('GET')).toEqual([])
  for (const room of ['tea', 'general', 'tea', '__proto__']) await rooms('PUT', room)
  expect(await rooms('GET')).toEqual(['tea', 'general', '__proto__'])
  expect(await rooms('DELETE', 'tea')).toEqual(['general', '__proto__'])
  expect(await rooms('DELETE', 'tea')).toEqual(['general', '__proto__'])
  await hibernate('User/ann')
  expect(await rooms('PUT', 'tea')).toEqual(['general', '__proto__', 'tea'])
  expect((await request('PUT', '/users/ann/rooms/a%20b')).status).toBe(400)
  for (let i = 0; i < 97; i++) await rooms('PUT', `room${i}`)
  expect((await request('PUT', '/users/ann/rooms/more')).status).toBe(400)
  expect((await request('PUT', '/users/ann/rooms/tea')).status).toBe(200)
  expect(await rooms('GET')).toHaveLength(100)
})

test('what is a person’s own is for them only, where it is known who somebody is', async () => {
  for (const [method, path] of [['PUT', 'profile'], ['GET', 'rooms'], ['PUT', 'rooms/tea'], ['DELETE', 'rooms/tea'], ['GET', 'inbox']]) {
    const answer = await request(method, `/users/ann/${path}`, { user: 'bob', body: method === 'PUT' ? { name: 'Bob' } : undefined })
    expect(answer.status).toBe(403)
    expect(await answer.json()).toEqual({ error: 'this is for ann only' })
  }
  await expect(connect('/users/ann/inbox', { user: 'bob' })).rejects.toThrow('403')
  await connect('/users/ann/inbox', { user: 'ann' })
  expect((await request('PUT', '/users/ann/profile', { user: 'ann', body: { name: 'Ann' } })).status).toBe(200)
  expect(await (await request('GET', '/users/ann/profile', { user: 'bob' })).json()).toMatchObject({ name: 'Ann' })
})
