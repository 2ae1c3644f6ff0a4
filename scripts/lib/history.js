// What was said in a room: by pages for whoever asks, and at once for a socket that
// comes back and knows what it has seen last.
//
// The order is that of $id: it grows with every message of a room, so it is the order
// in which everybody saw them. (The time of two messages may be the same, and a clock
// may be set back.)

import { limitOf } from './limit.js'

const defaultPage = 50 // messages
const maxPage = 100

// What a socket that comes back is sent at once. A send queue holds 1 MiB, and the
// room does nothing else meanwhile; who has missed more reads it by pages.
const maxMissed = 500 // messages
const maxMissedBytes = 900_000

/**
 * The newest messages first: /rooms/general/messages?limit=20. ?before=ID goes on
 * from there; ?after=ID has those that follow a message, the oldest first. An empty ID
 * stands for the end and for the beginning.
 *
 * @param {import('dotdo').Things} things
 * @param {import('dotdo').Context<any>} c
 */
export async function history(things, c) {
  const limit = limitOf(c, defaultPage, maxPage)
  if (!limit) return c.json({ error: `limit is a number from 1 to ${maxPage}` }, 400)
  const { after, before } = c.req.query()
  if (after !== undefined && before !== undefined) return c.json({ error: 'either after or before, not both' }, 400)
  const id = after ?? before
  if (id && !(await isMessage(things, id))) {
    return c.json({ error: `${after ? 'after' : 'before'} is the $id of a message in this room` }, 400)
  }
  return c.json(await (after === undefined ? messagesBefore(things, before, limit) : messagesAfter(things, after, limit)))
}

/**
 * What somebody has missed whose last message was since, or '' if there was none yet:
 * the frames to send, and the $id of the newest message, null if there is none.
 *
 * If it is too much, or the message is unknown, the only frame is a gap, { since, latest }:
 * what is missing is what ?after= since has, up to latest. since is null if it is unknown.
 *
 * @param {import('dotdo').Things} things
 * @param {string | undefined} since undefined if nothing is to be sent
 * @returns {Promise<{ latest: string | null, frames: string[] }>}
 */
export async function missed(things, since) {
  const known = since === '' || (since !== undefined && (await isMessage(things, since)))
  if (known) {
    const messages = await messagesAfter(things, since, maxMissed + 1)
    if (messages.length === 0) return { latest: since || null, frames: [] }
    const frames = messages.map((message) => JSON.stringify({ type: 'message', message }))
    if (frames.length <= maxMissed && bytesOf(frames) <= maxMissedBytes) {
      return { latest: messages[messages.length - 1].$id, frames }
    }
  }
  const [newest] = await messagesBefore(things, '', 1)
  const latest = newest ? newest.$id : null
  if (since === undefined) return { latest, frames: [] }
  return { latest, frames: [JSON.stringify({ type: 'gap', since: known ? since : null, latest })] }
}

async function isMessage(things, id) {
  const thing = await things.get(id)
  return thing !== null && thing.$type === 'Message'
}

function messagesAfter(things, id, limit) {
  return things.list({ $type: 'Message', where: id ? { $id: { $gt: id } } : {}, orderBy: { $id: 'asc' }, limit })
}

function messagesBefore(things, id, limit) {
  return things.list({ $type: 'Message', where: id ? { $id: { $lt: id } } : {}, orderBy: { $id: 'desc' }, limit })
}

function bytesOf(texts) {
  const encoder = new TextEncoder()
  let bytes = 0
  for (const text of texts) bytes += encoder.encode(text).length
  return bytes
}
