// Who is in a room, and telling the others who comes and who leaves.
//
// All of a while is told in one frame, or a crowd that comes would hear of each of its
// people one by one. Nobody hears of who is back soon: a page that is loaded again, a
// telephone that changes its network.

import { firstOf, limitOf } from './limit.js'

const gather = 250 // ms, in which people come who are told of together; longer in a large room:
const maxTold = 10_000 // frames a second, or a crowd would cost by the square of its size
const grace = 5000 // ms that somebody is gone before they have left
const maxNamed = 100 // people in one frame; how many there are is in its count
const maxPage = 1000 // people in one answer

// What a room knows while it is awake: each has a virtual machine of its own, and so
// variables of its own, until it sleeps.

/** @type {Set<string> | undefined} whom everybody has been told of */
let known
/** @type {{ [user: string]: number }} who may have come or gone, and when that is so, in ms */
let pending
let timer = 0
let due = Infinity // when it goes off, in ms

/**
 * The people that the room has been told of. A room sleeps only when it has told
 * all, so after a sleep they are those who are here: one walk over the sockets. If the
 * virtual machine is lost earlier, which takes a turn without end, a disk that fails or
 * new scripts, who came or left just before is never named; the next frame has the
 * right count.
 *
 * @param {import('dotdo').DurableObject} room
 */
function toldOf(room) {
  known ??= new Set(Object.keys(socketsIn(room)))
  return known
}

/**
 * Somebody comes, whose socket is not among the room's yet. Returns whom they find
 * here: the next frame goes on from there.
 *
 * @param {import('dotdo').DurableObject} room
 * @param {string} user
 * @returns {{ users: string[], count: number }}
 */
export function comes(room, user) {
  const told = toldOf(room)
  const users = firstOf(told, maxNamed)
  if (told.has(user)) return { users, count: told.size }
  const count = told.size + 1
  if (users.length < maxNamed) users.push(user)
  if (told.size === 0) known = undefined // nobody is to be told; who comes next finds this one here
  else note(room, user, Date.now())
  return { users, count }
}

/** A socket of somebody is gone. They may have another, or come back. */
export function leaves(room, user) {
  note(room, user, Date.now() + grace)
}

/** Notes that somebody may have come or, from a time on, gone. */
function note(room, user, time) {
  pending ??= Object.create(null)
  pending[user] = time
  tellAfter(room, time)
}

/** Has the room told of what is so at a time, and of what is so in the while after it. */
function tellAfter(room, time) {
  const at = time + Math.max(gather, (toldOf(room).size * 1000) / maxTold)
  if (at >= due) return
  clearTimeout(timer)
  due = at
  timer = setTimeout(() => tell(room), at - Date.now())
}

/**
 * Tells the room who came and who left since it was last told. A note is only a
 * hint: a turn that fails takes its socket back, but not what it noted. So it is
 * the sockets that say who is here.
 */
function tell(room) {
  const told = toldOf(room)
  const now = Date.now()
  const joined = []
  const left = []
  let first = Infinity // of those who are gone, and may come back
  for (const user in pending) {
    const here = room.ctx.getWebSockets(`user:${user}`).length > 0
    const wait = pending[user] - now
    if (!here && told.has(user) && wait > 0 && wait <= grace) { // longer only if the clock was set back
      first = Math.min(first, pending[user])
      continue
    }
    delete pending[user]
    if (here === told.has(user)) continue // in another tab, or back, or gone again
    if (here) told.add(user)
    else told.delete(user)
    if (here) joined.push(user)
    else left.push(user)
  }
  due = Infinity
  tellAfter(room, first)
  if (joined.length === 0 && left.length === 0) return
  const more = Math.max(0, joined.length - maxNamed) + Math.max(0, left.length - maxNamed)
  room.broadcast(`room:${room.ctx.id.name}`, {
    type: 'presence',
    joined: firstOf(joined, maxNamed),
    left: firstOf(left, maxNamed),
    more: more || undefined, // came or left and are not named
    count: told.size,
  })
}

/**
 * Over how many sockets each person is here, by name. (A Map costs an awake room 8 KB, and
 * the first for of one 5 KB.)
 */
function socketsIn(room) {
  const sockets = Object.create(null)
  const here = room.ctx.getWebSockets(`room:${room.ctx.id.name}`)
  for (let i = 0; i < here.length; i++) {
    const { user } = here[i].deserializeAttachment() // without what else its token says
    sockets[user] = (sockets[user] ?? 0) + 1
  }
  return sockets
}

/** Who is here, by name: /rooms/general/presence?limit=20&after=ann. */
export function presence(room, c) {
  const limit = limitOf(c, maxPage, maxPage)
  if (!limit) return c.json({ error: `limit is a number from 1 to ${maxPage}` }, 400)
  const after = c.req.query('after') ?? ''
  const people = socketsIn(room)
  const names = Object.keys(people).sort()
  const users = []
  for (let i = 0; i < names.length && users.length < limit; i++) {
    if (names[i] > after) users.push({ user: names[i], sockets: people[names[i]] })
  }
  return c.json({ room: room.ctx.id.name, users, count: names.length })
}
