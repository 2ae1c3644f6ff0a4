// What was said in a room: by pages for whoever asks, and at once for a socket that
// comes back and knows what it has seen last.
//
// The order is that of $id: it grows with every message of a room, so it is the order
// in which everybody saw them. (The time of two messages may be the same, and a clock
// may be set back.) What happens to a message later has a place in the same order: a
// Change, { message }, which says no more than which message it was. So the $id of
// either is a position, up to which somebody knows the room.
//
// (All of it is made by historyOf when it is asked for: a function costs each room that is
// awake some 700 bytes.)

import { limitOf } from './limit.js'

const defaultPage = 50 // messages
const maxPage = 100

// What a socket that comes back is sent at once. A send queue holds 1 MiB, and the
// room does nothing else meanwhile; who has missed more reads it by pages.
const maxMissed = 500 // messages, and changes
const maxMissedBytes = 900_000

const maxUnread = 100 // more is many
const maxCounted = 500 // messages that are looked at for that: one's own are among them

/**
 * The history among a room's things.
 *
 * @param {import('dotdo').Things} things
 */
export function historyOf(things) {
  return { page, missed, newest, unread, has }

  /**
   * The newest messages first: /rooms/general/messages?limit=20. ?before=POSITION goes
   * on from there; ?after=POSITION has those that follow, the oldest first. An empty
   * position stands for the end and for the beginning.
   *
   * @param {import('dotdo').Context<any>} c
   */
  async function page(c) {
    const limit = limitOf(c, defaultPage, maxPage)
    if (!limit) return c.json({ error: `limit is a number from 1 to ${maxPage}` }, 400)
    const { after, before } = c.req.query()
    if (after !== undefined && before !== undefined) return c.json({ error: 'either after or before, not both' }, 400)
    const position = after ?? before
    if (position && !(await has(position))) {
      return c.json({ error: `${after ? 'after' : 'before'} is a position in this room, the $id of a message or a change` }, 400)
    }
    return c.json(await (after === undefined ? listBefore('Message', before, limit) : listAfter('Message', after, limit)))
  }

  /**
   * What somebody has missed who knows the room up to since, or '' if that is nothing:
   * the frames to send, and the newest position. A message that is older and has changed
   * is in a frame of its own, at the place of its last change: every message is there
   * once, as it is now.
   *
   * If it is too much, or the position is unknown, the only frame is a gap, { since,
   * latest }: what is missing is what ?after= since has, up to latest. since is null if it
   * is unknown.
   *
   * @param {string} since
   * @returns {Promise<{ latest: string | null, frames: string[] }>}
   */
  async function missed(since) {
    const latest = await newest()
    const known = since === '' || (await has(since))
    const frames = known && (await framesAfter(since))
    return { latest, frames: frames || [JSON.stringify({ type: 'gap', since: known ? since : null, latest })] }
  }

  /** The frames of missed; undefined as soon as they are too much: no more than a page is read in vain. */
  async function framesAfter(since) {
    const last = Object.create(null) // change of each message that is not among those after since
    let changes = 0
    const isFew = ({ $id, message }) => {
      if (message <= since) last[message] = $id
      return ++changes <= maxMissed
    }
    const frames = []
    const encoder = new TextEncoder()
    let bytes = 0
    const fits = (at, frame) => {
      const text = JSON.stringify(frame)
      bytes += encoder.encode(text).length
      return frames.push({ at, text }) <= maxMissed && bytes <= maxMissedBytes
    }
    if (since && !(await allAfter('Change', since, isFew))) return
    if (!(await allAfter('Message', since, (message) => fits(message.$id, { type: 'message', message })))) return
    for (const id of Object.keys(last)) {
      const at = last[id]
      if (!fits(at, { type: 'change', at, message: await things.get(id) })) return
    }
    return frames.sort((a, b) => (a.at < b.at ? -1 : 1)).map(({ text }) => text)
  }

  /** Whether something is so of all that follows a position; it looks no further than at the first of which it isn't. */
  async function allAfter(type, position, isSo) {
    for (let some; !some || some.length === defaultPage; position = some[some.length - 1]?.$id) {
      some = await listAfter(type, position, defaultPage)
      for (const one of some) if (!isSo(one)) return false
    }
    return true
  }

  /**
   * The newest position; null if there is none.
   *
   * @returns {Promise<string | null>}
   */
  async function newest() {
    const [message] = await listBefore('Message', '', 1)
    const [change] = await listBefore('Change', '', 1)
    return (change?.$id > message?.$id ? change : message)?.$id ?? null
  }

  /**
   * How many messages by others follow a position, up to 100.
   *
   * @param {string | undefined} position
   * @param {string} user
   */
  async function unread(position, user) {
    let count = 0
    for (let looked = 0; position && looked < maxCounted && count < maxUnread; looked += maxPage) {
      const messages = await listAfter('Message', position, maxPage)
      for (const message of messages) if (message.author !== user && !message.deleted) count++
      position = messages.length === maxPage ? messages[maxPage - 1].$id : ''
    }
    return Math.min(count, maxUnread)
  }

  /** Whether a position is one of this room. */
  async function has(position) {
    const thing = await things.get(position)
    return thing?.$type === 'Message' || thing?.$type === 'Change'
  }

  function listAfter(type, id, limit) {
    return things.list({ $type: type, where: id ? { $id: { $gt: id } } : {}, orderBy: { $id: 'asc' }, limit })
  }

  function listBefore(type, id, limit) {
    return things.list({ $type: type, where: id ? { $id: { $lt: id } } : {}, orderBy: { $id: 'desc' }, limit })
  }
}
