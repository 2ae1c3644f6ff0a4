import { test, expect } from 'dotdo/test'
import type { Message } from '../page/protocol.ts'
import { Timeline } from '../page/timeline.ts'

function message(id: string, more: Partial<Message> = {}): Message {
  return { $id: id, $version: 1, room: 'general', author: 'ann', content: id, sent: '2026-01-01T12:00:00Z', ...more }
}

const ids = (timeline: Timeline) => timeline.messages.map(({ $id }) => $id).join(' ')

test('messages are in order, and once, however they come', () => {
  const timeline = new Timeline()
  expect(timeline.put(message('05'))).toBe(true)
  expect(timeline.put(message('06'))).toBe(true)
  expect(timeline.put(message('05'))).toBe(false) // by a page and by a frame
  timeline.addOlder([message('06'), message('04'), message('03')], false) // the newest first, and some known
  expect(ids(timeline)).toBe('03 04 05 06')
  timeline.addOlder([message('02'), message('01')], true)
  expect(ids(timeline)).toBe('01 02 03 04 05 06')
  expect(timeline.complete).toBe(true)
  expect([timeline.oldest!.$id, timeline.newest!.$id]).toEqual(['01', '06'])
})

test('the newest state of a message counts, whichever comes last', () => {
  const timeline = new Timeline()
  timeline.put(message('01'))
  timeline.change(message('01', { $version: 3, content: 'edited twice' }))
  timeline.put(message('01', { $version: 2, content: 'edited' })) // a page that was read before
  expect(timeline.get('01')).toMatchObject({ content: 'edited twice' })
})

test('a change of what lies before is not put where it does not belong', () => {
  const timeline = new Timeline()
  timeline.put(message('05'))
  timeline.change(message('01', { content: 'edited' }))
  expect(ids(timeline)).toBe('05')
  expect(timeline.get('01')).toBeUndefined()
})

test('what is trimmed can be loaded again', () => {
  const timeline = new Timeline()
  timeline.addOlder([message('03'), message('02'), message('01')], true)
  timeline.trim(3)
  expect(timeline.complete).toBe(true)
  timeline.trim(2)
  expect([ids(timeline), timeline.complete]).toEqual(['02 03', false])
  timeline.clear()
  expect(timeline.messages).toEqual([])
})

test('messages that did not change are the same objects', () => {
  const timeline = new Timeline()
  timeline.addOlder([message('02'), message('01')], true)
  const [first] = timeline.messages
  timeline.change(message('02', { $version: 2 }))
  expect(timeline.messages[0] === first).toBe(true)
})
