import { test, expect, connect, call, request } from 'dotdo/test'

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

test('an inbox gets what is told while it is open, and first what was told before', async () => {
  await call.User('ann').notify('one')
  await call.User('ann').notify('two')
  const inbox = await connect('/users/ann/inbox')
  await call.User('ann').notify('three')
  for (const notification of ['one', 'two', 'three']) {
    expect(await inbox.next()).toEqual({ type: 'notification', notification })
  }
  const again = await connect('/users/ann/inbox')
  await call.User('ann').notify('four')
  expect(await again.next()).toMatchObject({ notification: 'four' })
})
