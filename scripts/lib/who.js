// Who somebody is.
//
// Where the program verifies tokens (--jwt-secret, --jwt-public-key), it is the user of
// the token, and nothing else that a client says. Without that, as in development, it
// is whoever ?user= says.

import { isName, nameRule } from './name.js'

/**
 * Who makes a request: user is undefined if nobody says. A refusal says why they can
 * be nobody here.
 *
 * @param {import('dotdo').Context<any>} c
 * @returns {{ user?: string, refusal?: Response }}
 */
export function whoIs(c) {
  const verified = c.get('user')
  const user = verified ? verified.id : c.req.query('user')
  if (user === undefined || isName(user)) return { user }
  if (!verified) return { refusal: c.json({ error: `user is ${nameRule}` }, 400) }
  return { refusal: c.json({ error: `who you are is no name here, which is ${nameRule}` }, 403) }
}

/**
 * Who is at the other end of a socket: of the token that it came with, or who came.
 *
 * @param {WebSocket} ws
 * @returns {string}
 */
export function userOf(ws) {
  return ws.user?.id ?? ws.deserializeAttachment().user
}

/** A name for somebody who came without one: guest-3fa2c1. */
export function guest() {
  const bytes = crypto.getRandomValues(new Uint8Array(6))
  return 'guest-' + Array.from(bytes, (b) => (b % 16).toString(16)).join('')
}
