// Who may be in a room: everybody, or, if it is private, its members. They are in the
// room's storage, and whoever opened the room is its creator for good.

import { $ } from 'dotdo'
import { isName, nameRule } from './name.js'
import { whoIs } from './who.js'

const maxMembers = 500
const takenOut = 4003 // the code of a close: do not come back

/** @type {string[] | null | undefined} null if it is everybody; undefined if it has to be looked up */
let members

/**
 * The members of a private room; null if the room is open to all.
 *
 * @param {import('dotdo').DurableObject} room
 * @returns {string[] | null}
 */
export function membersOf(room) {
  if (members === undefined) members = room.ctx.storage.kv.get('members') ?? null
  return members ?? null
}

/**
 * Who makes a request, or the refusal of one who has no business here.
 *
 * @param {import('dotdo').DurableObject} room
 * @param {import('dotdo').Context<any>} c
 * @returns {{ user?: string, refusal?: Response }}
 */
export function admit(room, c) {
  const { user, refusal } = whoIs(c)
  const members = membersOf(room)
  if (refusal || !members || (user && members.includes(user))) return { user, refusal }
  return { refusal: c.json({ error: 'this room is private, and you are no member' }, 403) }
}

/**
 * Makes the room a thing, and known, when the first person comes.
 *
 * @param {import('dotdo').DurableObject} room
 * @param {string} creator
 */
export function create(room, creator, isPrivate = false) {
  const name = room.ctx.id.name
  $.send('Room.created', room.things.create({ $type: 'Room', $id: name, name, creator, private: isPrivate }))
}

/**
 * PUT /rooms/general/members, { members: ['ann', 'bob'] }, or null to open it to all. It
 * is for members, for whoever opened the room, and for anybody where there is no such room
 * yet. Who asks is always among the members; who no longer is has to go.
 *
 * @param {import('dotdo').DurableObject} room
 * @param {import('dotdo').Context<any>} c
 */
export async function setMembers(room, c) {
  const { user, refusal } = whoIs(c)
  if (refusal) return refusal
  if (user === undefined) return c.json({ error: 'say who you are: ?user=' }, 400)
  const name = room.ctx.id.name
  if (!isName(name)) return c.json({ error: `the name of a room is ${nameRule}` }, 400)

  const thing = await room.things.get(name)
  if (thing && thing.creator !== user && !membersOf(room)?.includes(user)) {
    return c.json({ error: 'only a member, or who opened the room, says who its members are' }, 403)
  }
  const { members: list } = (await c.req.json().catch(() => null)) ?? {}
  if (list !== null && !(Array.isArray(list) && list.length <= maxMembers && list.every(isName))) {
    return c.json({ error: `members is a list of at most ${maxMembers} names, or null` }, 400)
  }
  const allowed = list && new Set([user, ...list])
  if (allowed?.size > maxMembers) return c.json({ error: `a room has at most ${maxMembers} members` }, 400)

  if (!thing) create(room, user, allowed !== null)
  else if (thing.private !== (allowed !== null)) $.send('Room.changed', await room.things.update(name, { private: allowed !== null }))
  if (allowed) room.ctx.storage.kv.put('members', [...allowed])
  else room.ctx.storage.kv.delete('members')
  members = undefined // and not these: the turn may still fail
  for (const ws of allowed ? room.ctx.getWebSockets(`room:${name}`) : []) {
    if (!allowed.has(ws.deserializeAttachment().user)) ws.close(takenOut, 'you are no member of this room any more')
  }
  return c.json({ members: allowed && [...allowed] })
}
