import { test, expect, clock } from 'dotdo/test'
import { Connection, type State } from '../page/connection.ts'
import { Refused } from '../page/server.ts'
import { FakeServer } from './_fakes.ts'

function start(probe: () => unknown = () => ({})) {
  const fake = new FakeServer()
  const states: State[] = []
  const refusals: string[] = []
  const received: unknown[] = []
  fake.answer = probe
  const connection = new Connection({
    open: () => fake.open('/ws/general') as unknown as WebSocket,
    probe: () => fake.ask('GET', '/probe'),
    received: (data) => received.push(data),
    changed: (state) => states.push(state),
    refused: (why, message) => refusals.push(`${why}: ${message}`),
  })
  connection.connect()
  return { fake, states, refusals, received, connection }
}

test('it comes back by itself, later each time, and soon again once it was there for a while', async () => {
  const { fake, states, connection } = start()
  fake.socket.accept()
  expect(connection.send({ type: 'x' })).toBe(true)
  fake.socket.drop()
  expect(connection.send({ type: 'x' })).toBe(false)
  await clock.advance('500ms')
  expect(fake.sockets).toHaveLength(2)
  for (const longest of [1000, 2000, 4000]) {
    const count = fake.sockets.length
    fake.socket.drop()
    await clock.advance(`${longest / 2 - 1}ms`)
    expect(fake.sockets).toHaveLength(count)
    await clock.advance(`${longest / 2 + 1}ms`)
    expect(fake.sockets).toHaveLength(count + 1)
  }
  fake.socket.accept()
  await clock.advance('3s')
  fake.socket.drop()
  await clock.advance('500ms')
  expect(fake.sockets).toHaveLength(6)
  expect(states.slice(0, 4)).toEqual(['connecting', 'open', 'waiting', 'connecting'])
})

test('a handshake without an end, and a socket that is suspected, are given up', async () => {
  const { fake, connection } = start()
  const [first] = fake.sockets
  await clock.advance('16s')
  expect(fake.sockets).toHaveLength(2)
  first!.accept() // too late: nobody listens
  expect(connection.state).toBe('connecting')
  fake.socket.accept()
  connection.suspect()
  expect(fake.sockets[1]!.readyState).toBe(3)
  connection.hurry()
  expect(fake.sockets).toHaveLength(3)
  connection.hurry() // it is under way
  expect(fake.sockets).toHaveLength(3)
})

test('it ends where it is not wanted any more', async () => {
  for (const [code, reason, why] of [[1008, 'token expired', 'expired'], [4003, '', 'removed']] as const) {
    const { fake, refusals, connection } = start()
    fake.socket.accept()
    fake.socket.drop(code, reason)
    await clock.advance('1h')
    expect(refusals).toHaveLength(1)
    expect(refusals[0]).toMatch(new RegExp(`^${why}: `))
    expect([fake.sockets.length, connection.state]).toEqual([1, 'ended'])
  }
  const { fake, refusals } = start()
  fake.socket.accept()
  fake.socket.drop(1008, 'something else')
  await clock.advance('1s')
  expect([fake.sockets.length, refusals.length]).toEqual([2, 0])
})

test('why a handshake was refused is asked, as a browser does not tell', async () => {
  const refused = (status: number, retryAfter?: number) => start(() => {
    throw new Refused(status, 'no', retryAfter)
  })
  for (const [status, why] of [[401, 'unknown: No.'], [403, 'forbidden: No.'], [400, 'forbidden: No.']] as const) {
    const { fake, refusals } = refused(status)
    fake.socket.drop()
    await clock.advance('1h')
    expect([fake.sockets.length, refusals]).toEqual([1, [why]])
  }
  const { fake, refusals } = refused(429, 20)
  fake.socket.drop()
  await clock.advance('19s')
  expect(fake.sockets).toHaveLength(1)
  await clock.advance('2s')
  expect(fake.sockets).toHaveLength(2)
  const gone = start(() => {
    throw new TypeError('Failed to fetch')
  })
  gone.fake.socket.drop()
  await clock.advance('1s')
  expect([gone.fake.sockets.length, gone.refusals.length, refusals.length]).toEqual([2, 0, 0])
})

test('what is ended stays so', async () => {
  const { fake, connection } = start()
  fake.socket.accept()
  connection.end()
  connection.connect()
  connection.hurry()
  connection.suspect()
  await clock.advance('1h')
  expect([fake.sockets.length, fake.socket.readyState, connection.state]).toEqual([1, 3, 'ended'])
})
