// A socket that comes back by itself.

import { backoff } from './backoff.ts'
import { Refused, sentence } from './server.ts'

export type State =
  | 'connecting'
  | 'open'
  | 'waiting' // to try again
  | 'ended' // for good: closed, or refused

/** Why a server lets nobody in by this way any more. */
export type Refusal = 'unknown' | 'expired' | 'forbidden' | 'removed'

export interface Options {
  /** Opens a socket; it is asked each time, for where it goes on changes. */
  readonly open: () => WebSocket
  /** Makes a request that is refused as the socket would be: a browser doesn't tell why a socket was. */
  readonly probe: () => Promise<unknown>
  readonly received: (data: unknown) => void
  readonly changed: (state: State) => void
  readonly refused: (why: Refusal, message: string) => void
}

const steady = 3000 // ms that a socket must be open before its failures are forgotten
const patience = 15_000 // ms for a handshake

// Close codes.
const goingAway = 1001
const policyViolation = 1008 // with the token expired, among others
const removed = 4003 // from a private room

export class Connection {
  state: State = 'waiting'
  private socket: WebSocket | undefined
  private failed = 0
  private timer: number | undefined // until the next attempt, or of the handshake
  private steadyTimer: number | undefined

  constructor(private readonly options: Options) {}

  /** Connects, at once. What was open or under way is given up. */
  connect(): void {
    if (this.state === 'ended') return
    this.drop()
    let socket: WebSocket
    try {
      socket = this.options.open()
    } catch {
      return this.refuse('unknown', 'This sign-in cannot be used.') // a token that is no protocol
    }
    this.socket = socket
    this.timer = setTimeout(() => this.lost(socket, false, goingAway), patience)
    let opened = false
    socket.onopen = () => {
      opened = true
      clearTimeout(this.timer)
      this.steadyTimer = setTimeout(() => (this.failed = 0), steady)
      this.become('open')
    }
    socket.onmessage = (event) => this.options.received(event.data)
    socket.onclose = (event) => this.lost(socket, opened, event.code, event.reason)
    this.become('connecting')
  }

  /** Sends a frame, and reports whether there was a socket to send it on. */
  send(frame: object): boolean {
    if (this.state !== 'open' || this.socket?.readyState !== WebSocket.OPEN) return false
    this.socket.send(JSON.stringify(frame))
    return true
  }

  /**
   * Tries again now, if it waits: the person is back, or the network. What failed without
   * a network was no fault of the server, which is spared no further attempts for it.
   */
  hurry(isOnlineAgain = false): void {
    if (isOnlineAgain) this.failed = 0
    if (this.state === 'waiting') this.connect()
  }

  /** Gives up a socket that may be dead without having closed, and tries again in a while. */
  suspect(): void {
    const socket = this.socket
    if (socket && this.state !== 'waiting') this.lost(socket, true, goingAway)
  }

  /** Ends for good. */
  end(): void {
    this.drop()
    this.become('ended')
  }

  private become(state: State): void {
    if (state === this.state) return
    this.state = state
    this.options.changed(state)
  }

  private drop(): void {
    clearTimeout(this.timer)
    clearTimeout(this.steadyTimer)
    const socket = this.socket
    this.socket = undefined
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private lost(socket: WebSocket, opened: boolean, code: number, reason = ''): void {
    if (socket !== this.socket) return
    this.drop()
    if (code === policyViolation && reason.includes('expired')) return this.refuse('expired', 'Your sign-in has expired.')
    if (code === removed) return this.refuse('removed', 'You are no longer a member of this room.')
    this.wait(backoff(this.failed++))
    if (!opened) void this.ask()
  }

  private wait(delay: number): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.connect(), delay)
    this.become('waiting')
  }

  /** Asks why a handshake failed. Where there is no answer, it is tried again in any case. */
  private async ask(): Promise<void> {
    try {
      await this.options.probe()
    } catch (error) {
      if (!(error instanceof Refused) || this.state !== 'waiting') return
      if (error.status === 401) this.refuse('unknown', error.message)
      else if (error.status === 403 || error.status === 400) this.refuse('forbidden', error.message)
      else if (error.retryAfter !== undefined) this.wait(error.retryAfter * 1000 + backoff(0))
    }
  }

  private refuse(why: Refusal, message: string): void {
    this.end()
    this.options.refused(why, sentence(message))
  }
}
