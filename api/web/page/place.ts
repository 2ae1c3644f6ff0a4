// Where an address leads, and whose token it may bring.

import { isName } from './protocol.ts'

/** The part of an address behind #: a room, a message in it, a token. */
export interface Place {
  readonly room: string
  readonly message?: string | undefined
  readonly token?: string | undefined
}

export const defaultRoom = 'general'

/** Reads #general, #general/01K…, #token=…, and #general&token=… */
export function placeOf(hash: string): Place {
  let room: string | undefined
  let message: string | undefined
  let token: string | undefined
  for (const part of hash.replace(/^#/, '').split('&')) {
    if (part.startsWith('token=')) token = part.slice('token='.length)
    else if (part !== '') [room, message] = part.split('/')
  }
  return { room: room !== undefined && isName(room) ? room : defaultRoom, message: message || undefined, token: token || undefined }
}

/** The user that a token names; the server checks it. */
export function userOf(token: string): string | undefined {
  try {
    const payload = token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/')
    const bytes = Uint8Array.from([...atob(payload)], (character) => character.charCodeAt(0))
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown }
    return typeof sub === 'string' && sub !== '' && !/[\ud800-\udfff]/u.test(sub) ? sub : undefined // half a character fits into no address
  } catch {
    return undefined
  }
}
