// Requests and sockets: where they go, and who they say is asking.

/** Who this person is: by a token that the server checks, or, in development, by a name. */
export interface Identity {
  readonly user: string
  readonly token?: string | undefined
}

/** An answer that is none of success. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter?: number, // seconds
  ) {
    super(message)
  }
}

/** What a server said, as a sentence. */
export function sentence(message: string): string {
  return message.replace(/^./, (first) => first.toUpperCase()).replace(/\.?$/, '.')
}

type Parameters = Readonly<Record<string, string | number | undefined>>

const patience = 20_000 // ms until a request counts as failed

export class Server {
  constructor(readonly identity: Identity) {}

  /** Makes a request and reads its JSON. It throws Refused for what is no success, and a TypeError if there is no answer. */
  async ask<Answer>(method: string, path: string, parameters: Parameters = {}): Promise<Answer> {
    const headers: Record<string, string> = {}
    if (this.identity.token !== undefined) headers['Authorization'] = `Bearer ${this.identity.token}`
    const answer = await fetch(this.path(path, parameters), { method, headers, cache: 'no-store', signal: AbortSignal.timeout(patience) })
    const body: unknown = await answer.json().catch(() => undefined)
    if (answer.ok) return body as Answer
    const error = (body as { error?: unknown } | undefined)?.error
    throw new Refused(answer.status, typeof error === 'string' ? error : answer.statusText, Number(answer.headers.get('Retry-After')) || undefined)
  }

  /** Opens a socket. A browser can send no header with it, so the token is one of the protocols. */
  open(path: string, parameters: Parameters = {}): WebSocket {
    const url = new URL(this.path(path, parameters), location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    return this.identity.token === undefined ? new WebSocket(url) : new WebSocket(url, ['chat', `bearer.${this.identity.token}`])
  }

  private path(path: string, parameters: Parameters): string {
    const query = new URLSearchParams({ user: this.identity.user }) // that counts in development only
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value))
    return `${path}?${query}`
  }
}
