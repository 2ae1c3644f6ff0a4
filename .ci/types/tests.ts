// Tests of scripts, as dotdo.d.ts has them.

import { call, clock, connect, expect, hibernate, request, test } from 'dotdo/test'

test('a room sleeps, and wakes for a message', async () => {
  const ann = await connect('/ws/general?user=ann', { headers: { Origin: 'https://example.com' } })
  expect(await ann.next()).toMatchObject({ type: 'welcome', users: ['ann'] })
  await clock.advance('10s')
  await hibernate('Room/general')
  ann.send({ type: 'message', content: 'hello' })
  const { message } = await ann.nextWhere({ type: 'message' }, { timeout: 100 })
  expect(message.$id).toEqual(expect.any(String))
  expect(message).not.toContain(expect.anything())
  const names: string[] = await call.Room('general').present()
  expect(names).toHaveLength(1)
  const answer = await request('PUT', '/users/ann/profile', { body: { name: 'Ann' } })
  expect(answer.status).toBe(200)
  await expect(call<{ fail(): void }>('Room', 'general').fail()).rejects.toThrow(/no/)
  await expect(answer.json()).resolves.not.toEqual({})
  const bob = await connect('/ws/general', { user: 'bob' })
  expect(bob.readyState).toBe(1)
  await request('GET', '/rooms', { user: { id: 'bob', claims: { role: 'admin' } } })
  ann.close(1000, 'bye')
  expect(await ann.closed()).toEqual({ code: 1000, reason: 'bye' })
  expect(clock.now()).toBeGreaterThan(0)
})

test.skip('later', () => {})
test.only('this one', async () => {})

// @ts-expect-error
test(() => {})
// @ts-expect-error
expect(1).toBeOne()
// @ts-expect-error an await is missing
connect('/ws/general').send('hello')
// @ts-expect-error
connect('/ws/general', { user: 7 })
// @ts-expect-error
clock.advance()
// @ts-expect-error
call.room('general')
