// What was said in a room, by pages.

import { isMessage, type Message } from './protocol.ts'
import type { Server } from './server.ts'

export interface Page {
  readonly messages: readonly Message[] // the newest first
  readonly isLast: boolean // nothing was said before
}

/** The newest messages of a room, or those before one of them. */
export async function readPage(server: Server, room: string, before: string | undefined, limit: number): Promise<Page> {
  const page = await server.ask<unknown>('GET', `/rooms/${encodeURIComponent(room)}/messages`, { before, limit })
  if (!Array.isArray(page)) throw new TypeError('a page is a list')
  const messages = page.filter(isMessage)
  return { messages, isLast: page.length < limit || messages.length === 0 }
}
