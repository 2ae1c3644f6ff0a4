// A server that a test plays.

import type { Message } from '../page/protocol.ts'
import type { Server } from '../page/server.ts'

/** A socket of the page's, from the other end. */
export class FakeSocket {
  readyState = 0
  readonly sent: Record<string, unknown>[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null

  constructor(readonly path: string, readonly parameters: Record<string, unknown>) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.readyState = 3
  }

  accept(): void {
    this.readyState = 1
    this.onopen?.()
  }

  tell(...frames: object[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) })
  }

  drop(code = 1006, reason = ''): void {
    this.readyState = 3
    this.onclose?.({ code, reason })
  }

  /** What was sent of a type. */
  of(type: string): Record<string, unknown>[] {
    return this.sent.filter((frame) => frame['type'] === type)
  }
}

/** Opens fake sockets, and answers requests as the test says. */
export class FakeServer {
  readonly sockets: FakeSocket[] = []
  readonly asked: string[] = []
  answer: (method: string, path: string, parameters: Record<string, unknown>) => unknown = () => []

  get server(): Server {
    return this as unknown as Server
  }

  /** The socket that was opened last. */
  get socket(): FakeSocket {
    return this.sockets[this.sockets.length - 1]!
  }

  open(path: string, parameters: Record<string, unknown> = {}): FakeSocket {
    this.sockets.push(new FakeSocket(path, parameters))
    return this.socket
  }

  async ask(method: string, path: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
    this.asked.push(`${method} ${path}`)
    return this.answer(method, path, parameters)
  }
}

export function message(id: string, author = 'bob', more: Partial<Message> = {}): Message {
  return { $id: id, $version: 1, room: 'general', author, content: `says ${id}`, sent: '2026-01-01T12:00:00.000Z', ...more }
}
