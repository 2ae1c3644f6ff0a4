// What a script can use, for editors and for `tsc`: the modules 'dotdo' and
// 'dotdo/test', and the globals. Beside these there is ECMAScript as far as the
// engine knows it (README.md says how far), and nothing of a browser's page.
//
// A test holds the names here against those that a script finds. So its shape is
// plain: a class or an interface begins a line, and each member begins one.

declare module 'dotdo' {
  /** Events, other objects, and what runs at a time of its own. */
  export const $: Dollar

  /** Where a script says what its objects are. */
  export const DO: DurableObjects

  /** The names in a text that are mentioned as @name, each once. */
  export function extractMentions(text: string): string[]

  export interface DurableObjects {
    /**
     * Adds a part: methods and fields of the objects of one noun, or, without
     * `$type`, of every noun. It is the default export of its script.
     *
     * `this` in a method is the object: what this part defines, and `ctx`, `things`,
     * `app` and `broadcast`.
     */
    extend<P>(part: { [M in keyof P]: P[M] } & Part & ThisType<This<P>>): P
  }

  // A compiler that has not yet understood a part takes its members as they come.
  type This<P> = ([keyof P] extends [never] ? Fields : { [M in keyof P]: unknown extends P[M] ? any : P[M] }) & DurableObject

  /** What a part can have. Any other method or field is its own. */
  export interface Part {
    /** The noun that this part belongs to. Without it, it belongs to every noun. */
    $type?: Noun

    /** Fields of things that `where` and `orderBy` find by an index; dotted if they lie deeper. */
    indexes?: string[]

    /** Runs whenever the object wakes, before anything else of it. */
    init?(): unknown

    /** Registers routes on `this.app`. There is no object yet: `this.ctx` and `this.things` are for the handlers. */
    onRequest?(c?: undefined): unknown

    /** A whole message came. */
    webSocketMessage?(ws: WebSocket, data: string | ArrayBuffer): unknown

    /** A socket has ended. `wasClean` is false where its peer just vanished: then `code` is 1006. */
    webSocketClose?(ws: WebSocket, code: number, reason: string, wasClean: boolean): unknown

    /** A peer broke the protocol; `webSocketClose` follows. */
    webSocketError?(ws: WebSocket, error: Error): unknown

    /** The time that `ctx.storage.setAlarm` was given has come. A noun has one such method. */
    alarm?(info: AlarmInfo): unknown

    [name: string]: unknown
  }

  /** What every object has. */
  export interface DurableObject {
    /** The routes, while `onRequest` runs. */
    readonly app: App

    /** The object's identity, its sockets and its storage. */
    readonly ctx: DurableObjectState

    /** The object's things: rows with a type, fields and an order. */
    readonly things: Things

    /** Sends the payload to every socket with the tag: a string as it is, anything else as JSON. A part can define its own. */
    broadcast(tag: string, payload: unknown): void
  }

  export interface DurableObjectState {
    /** Which object this is. */
    readonly id: DurableObjectId

    /** Values by key, and the alarm. */
    readonly storage: DurableObjectStorage

    /** Takes one end of a WebSocketPair as the object's, in the handler of a route. At most 10 tags of 256 bytes. */
    acceptWebSocket(ws: WebSocket, tags?: readonly string[]): void

    /** The sockets with a tag, in the order they came; without one all of them, the newest first. */
    getWebSockets(tag?: string): WebSocket[]

    /** The tags that a socket was accepted with. */
    getTags(ws: WebSocket): string[]

    /** Answers one text with another without waking the object. Without a pair, no more. */
    setWebSocketAutoResponse(pair?: WebSocketRequestResponsePair | null): void

    getWebSocketAutoResponse(): WebSocketRequestResponsePair | null

    /** When a socket was last answered so. */
    getWebSocketAutoResponseTimestamp(ws: WebSocket): Date | null

    /** Keeps the object awake until the promise is settled, 15 minutes at most. */
    waitUntil(promise: unknown): void

    /** Lets no event in until the function's promise is settled, 30 seconds at most. If it rejects, the object starts anew. */
    blockConcurrencyWhile<T>(run: () => T | PromiseLike<T>): Promise<T>
  }

  export interface DurableObjectId {
    /** `general` of Room/general. */
    readonly name: string

    /** `Room` of Room/general. */
    readonly type: string

    equals(other: DurableObjectId): boolean

    /** `Room/general`. */
    toString(): string

    toJSON(): string
  }

  /**
   * Values by key. What is written commits with the turn; reads see it at once, and
   * an await on any of these lets no other event in. A key has at most 2048 bytes, key
   * and value together 2 MiB, one call 128 keys. Values are what structuredClone takes.
   */
  export interface DurableObjectStorage extends DurableObjectRows {
    /** The same values at once, without promises: for what happens often. */
    readonly kv: SyncKvStorage

    /** Undoes what the function wrote with `txn` if it throws, and the turn goes on. What it returns is what this returns. */
    transaction<T>(run: (txn: DurableObjectTransaction) => T | PromiseLike<T>): Promise<T>

    /** Undoes all that the function wrote, things too, if it throws. It must not be async. */
    transactionSync<T>(run: () => T): T

    /** Does nothing: what a turn sends leaves only when what it wrote is on disk. */
    sync(): Promise<void>

    /** Removes every value, and the alarm. */
    deleteAll(): Promise<void>

    /** When the alarm is set for, in milliseconds since 1970; null if it isn't, and while it runs. */
    getAlarm(): Promise<number | null>

    /** Sets the object's one alarm. Its `alarm` method runs then, at least once, whatever happens meanwhile. */
    setAlarm(at: number | Date): Promise<void>

    deleteAlarm(): Promise<void>
  }

  /** Values by key, as those of the storage, whose limits hold here too. */
  export interface SyncKvStorage {
    get<T = any>(key: string): T | undefined
    get<T = any>(keys: Iterable<string>): Map<string, T>

    put(key: string, value: Defined): void
    put(entries: { [key: string]: Defined }): void

    /** Whether there was one; of several, how many there were. */
    delete(key: string): boolean
    delete(keys: Iterable<string>): number

    /** The values in the order of their keys. */
    list<T = any>(options?: ListOptions): Map<string, T>
  }

  /** What the function of `storage.transaction` is given. */
  export interface DurableObjectTransaction extends DurableObjectRows {
    /** Undoes what was written so far; nothing more can be read or written with it. */
    rollback(): void
  }

  export interface DurableObjectRows {
    get<T = any>(key: string): Promise<T | undefined>
    get<T = any>(keys: Iterable<string>): Promise<Map<string, T>>

    put(key: string, value: Defined): Promise<void>
    put(entries: { [key: string]: Defined }): Promise<void>

    /** Whether there was one; of several, how many there were. */
    delete(key: string): Promise<boolean>
    delete(keys: Iterable<string>): Promise<number>

    /** The values in the order of their keys. */
    list<T = any>(options?: ListOptions): Promise<Map<string, T>>
  }

  export interface ListOptions {
    /** The first key, itself included. */
    start?: string
    /** The first key, itself left out. Not together with `start`. */
    startAfter?: string
    /** The end, itself left out. */
    end?: string
    prefix?: string
    reverse?: boolean
    limit?: number
  }

  export interface AlarmInfo {
    isRetry: boolean
    /** How many attempts failed before. */
    retryCount: number
    /** What it was set for, in milliseconds since 1970. */
    scheduledTime: number
  }

  /** The object's things. What is written commits with the turn; reads see it at once. */
  export interface Things {
    /**
     * Makes a thing, and returns it at once. Without a `$id` it gets one that is greater than
     * those of all things made before. One of your own has 1 to 256 bytes; if it is
     * taken, by what is stored or by what this or an earlier turn has made, create throws an
     * Error whose name is ConflictError, and the turn goes on if that is caught.
     */
    create<T extends { $type: Noun; $id?: string; [field: string]: any }>(fields: T): Thing<T>

    /** A thing by its `$id`. */
    get<T = Fields>(id: string): Promise<Thing<T> | null>

    /** The things of a type: 100 of them in the order of `$id`, unless it says otherwise. */
    list<T = Fields>(query: ListQuery<NoInfer<T>>): Promise<Thing<T>[]>
    list<T = Fields>(type: Noun, query?: Omit<ListQuery<NoInfer<T>>, '$type'>): Promise<Thing<T>[]>

    /** How many there are. */
    count<T = Fields>(query: CountQuery<NoInfer<T>>): Promise<number>
    count<T = Fields>(type: Noun, query?: Omit<CountQuery<NoInfer<T>>, '$type'>): Promise<number>

    /** Changes the fields that are given, removes those that are undefined, and returns the thing; null if there is none. */
    update<T = Fields>(thing: string | { $id: string }, changes: Partial<NoInfer<T>>): Promise<Thing<T> | null>

    /** Whether there was one. */
    delete(id: string): Promise<boolean>
  }

  /** A thing: its own fields, and those that every thing has. */
  export type Thing<T = Fields> = T & ThingFields

  /** Fields of which nothing is said. */
  export interface Fields {
    [field: string]: any
  }

  export interface ThingFields {
    /** Unique in its object. Those that the runtime makes sort by time. */
    $id: string
    $type: string
    $createdAt: Date
    $updatedAt: Date
    /** 1, and one more with each update. */
    $version: number
  }

  export interface CountQuery<T = Fields> {
    $type: Noun
    /** What fields must be; null matches those that are missing too. */
    where?: Where<T>
  }

  export interface ListQuery<T = Fields> extends CountQuery<T> {
    /** `{ sent: 'desc' }`, or an array of such; ties go by `$id`. */
    orderBy?: OrderBy<T> | (OrderBy<T> | keyof OrderBy<T>)[]
    limit?: number
    /** The `$id` of the last thing before these. */
    after?: string
  }

  export type Where<T = Fields> = { [F in keyof (T & ThingFields)]?: Condition<(T & ThingFields)[F]> } & { [path: `${string}.${string}`]: Condition<any> }
  export type OrderBy<T = Fields> = { [F in keyof (T & ThingFields)]?: 'asc' | 'desc' } & { [path: `${string}.${string}`]: 'asc' | 'desc' }

  /** A value that a field equals, or comparisons that it passes. */
  export type Condition<V = any> = IsAny<V> extends true ? Comparable | Comparisons<Comparable> : V | null | Comparisons<V>
  export type Comparable = string | number | boolean | Date | null

  export interface Comparisons<V = any> {
    $eq?: V | null
    $ne?: V | null
    $gt?: V
    $gte?: V
    $lt?: V
    $lte?: V
    $in?: (V | null)[]
    $exists?: boolean
  }

  export interface Dollar {
    /**
     * Sends an event, `Noun.verb`. It commits with the turn, and reaches each
     * handler at least once. Returns its id.
     */
    send(type: EventType, data?: unknown): string

    /** Handlers of events, at the top level of a script: `$.on.Message.sent((event) => …)`. */
    readonly on: On

    /** Handlers that run by the clock, at the top level of a script. */
    readonly every: Every

    /**
     * Another object: `$.User('ann').notify(…)`, `await $.User('ann').getProfile().name`.
     * Calls are made whether awaited or not. What the object has is given as an
     * interface: `$.User<{ notify(text: string): void }>('ann')`.
     */
    readonly [noun: Noun]: <T = any>(id: string) => Stub<T>
  }

  export interface On {
    readonly [noun: Noun]: OnNoun

    /** Any noun. */
    readonly '*': OnNoun
  }

  /** By the verb; `'*'` is any. */
  export interface OnNoun {
    readonly [verb: string]: OnVerb
  }

  /**
   * Adds a handler. It runs as a turn of its own, and again after a growing delay if
   * it fails. Calls that it makes and doesn't await are stored when it ends, and each
   * is tried again by itself.
   */
  export type OnVerb = <T = any>(handler: (event: Event<T>) => unknown, options?: HandlerOptions) => void

  export interface HandlerOptions {
    /** What the handler is known by, in 256 bytes. Without it, by its file and event. */
    name?: string
    /**
     * How often an event is tried again after a first attempt that failed: a whole
     * number from 0 to 100, or 5. So are the calls that the handler doesn't await.
     * What has failed once more than that is a dead letter.
     */
    maxRetries?: number
  }

  export interface Event<T = any> {
    /** The same for all handlers, and at each attempt. */
    readonly id: string
    /** `Message.sent`. */
    readonly type: string
    /** The object that sent it: `Room/general`. */
    readonly source: string
    readonly data: T
    readonly timestamp: Date
    /** 1, and one more each time that it is tried again. */
    readonly attempt: number
  }

  export interface Every {
    /** By a cron string, in UTC: `$.every('0 9 * * 1', handler)` is Mondays at nine. */
    (cron: string, handler: EveryHandler, options?: EveryOptions): void
    minute(handler: EveryHandler, options?: EveryOptions): void
    hour(handler: EveryHandler, options?: EveryOptions): void
    day(handler: EveryHandler, options?: EveryOptions): void
  }

  export type EveryHandler = (run: Run) => unknown

  export interface EveryOptions {
    /** What the handler is known by, in 256 bytes. Without it, by its file and its times. */
    name?: string
    /** How often a run is tried again after a first attempt that failed: from 0 to 100, or 5. */
    maxRetries?: number
  }

  /** One run of an $.every. */
  export interface Run {
    /** When it was due, in milliseconds since 1970. One that was missed while the program was down runs once. */
    readonly scheduledTime: number
    readonly cron: string
  }

  /**
   * Another object as others see it: the methods and fields of T. A call or a
   * field is a promise whose fields can be read before it is there; what it comes
   * to is a copy. The promise of a call can be an argument of another call.
   */
  export type Stub<T = any> = IsAny<T> extends true ? AnyStub : StubOf<T>
  type StubOf<T> = { readonly [M in keyof T]: T[M] extends (...args: infer A) => infer R ? (...args: { [I in keyof A]: A[I] | PromiseLike<A[I]> }) => Remote<Awaited<R>> : Remote<Awaited<T[M]>> } & { readonly [stubOf]?: T }
  const stubOf: unique symbol

  /** A value that is still with another object. */
  export type Remote<V> = IsAny<V> extends true ? AnyRemote : Promise<V> & (V extends object ? { readonly [F in Exclude<keyof V, keyof Promise<V>>]: Remote<Awaited<V[F]>> } : unknown)

  interface AnyStub {
    readonly [member: string]: AnyMember
  }

  interface AnyMember extends AnyRemote {
    (...args: any[]): AnyRemote
    readonly name: any
    readonly length: any
  }

  interface AnyRemote extends Promise<any> {
    readonly [field: string]: any
  }

  /** The routes, in Hono's manner. */
  export interface App {
    get<P extends string>(path: P, ...handlers: Handler<P>[]): App
    post<P extends string>(path: P, ...handlers: Handler<P>[]): App
    put<P extends string>(path: P, ...handlers: Handler<P>[]): App
    patch<P extends string>(path: P, ...handlers: Handler<P>[]): App
    delete<P extends string>(path: P, ...handlers: Handler<P>[]): App

    /** Any method. */
    all<P extends string>(path: P, ...handlers: Handler<P>[]): App

    /** Methods and paths of your choice. */
    on<P extends string>(methods: string | string[], paths: P | P[], ...handlers: Handler<P>[]): App

    /** Middleware: runs before the handlers that follow, and goes on with `await next()`. */
    use<P extends string>(path: P, ...handlers: Handler<P>[]): App
    use(...handlers: Handler<string>[]): App

    /** Answers a request that a route has, and no handler took. */
    notFound(handler: (c: Context) => Response | PromiseLike<Response>): App

    /** Answers where a handler threw. What the turn wrote is kept then. */
    onError(handler: (error: any, c: Context) => Response | PromiseLike<Response>): App

    /** The same app, with paths below this one. */
    basePath(path: string): App
  }

  export type Handler<P extends string = string> = (c: Context<P>, next: Next) => Response | void | undefined | PromiseLike<Response | void | undefined>

  export type Next = () => Promise<void>

  /** One request. */
  export interface Context<P extends string = string> {
    readonly req: HonoRequest<P>

    /** The answer as it is so far. */
    res: Response

    /** Whether there is an answer. */
    readonly finalized: boolean

    /** What a handler threw. */
    error: any

    /** What `set` set. */
    readonly var: { readonly [name: string]: any }

    json(value: unknown, status?: number, headers?: HeadersRecord): Response
    json(value: unknown, init?: ResponseInit): Response
    text(text: string, status?: number, headers?: HeadersRecord): Response
    text(text: string, init?: ResponseInit): Response
    html(html: string, status?: number, headers?: HeadersRecord): Response
    html(html: string, init?: ResponseInit): Response
    body(body: BodyInit | null, status?: number, headers?: HeadersRecord): Response
    body(body: BodyInit | null, init?: ResponseInit): Response
    newResponse(body: BodyInit | null, status?: number, headers?: HeadersRecord): Response
    newResponse(body: BodyInit | null, init?: ResponseInit): Response
    redirect(location: string | URL, status?: number): Response
    notFound(): Response | Promise<Response>

    /** Sets a header of the answer; without a value it removes one. */
    header(name: string, value?: string, options?: { append?: boolean }): void

    /** The status of the answer. */
    status(status: number): void

    /**
     * What a middleware found out, for the handlers that follow. `user` is whom the
     * request is from, if the runtime has verified it; then it cannot be set.
     */
    get(name: 'user'): User | undefined
    get<T = any>(name: string): T
    set(name: string, value: unknown): void
  }

  /** Somebody whom the runtime has verified. It is frozen. */
  export interface User {
    /** The `sub` of the token. */
    readonly id: string

    /** What the token says. */
    readonly claims: { readonly [name: string]: any }
  }

  export type HeadersRecord = Headers | { [name: string]: string | string[] }

  /** The request of a Context. Its body can be read again and again. */
  export interface HonoRequest<P extends string = string> {
    readonly url: string
    readonly method: string

    /** The path, decoded. */
    readonly path: string

    readonly raw: Request

    /** Which of the handlers runs. */
    routeIndex: number

    /** A parameter of the path, decoded: `room` of /ws/:room. */
    param<N extends ParamOf<P>>(name: N): string extends P ? string | undefined : `${N}?` extends ParamOf<P> ? string | undefined : string
    param(): { [name: string]: string }

    /** A parameter of the query: the first of its name. */
    query(name: string): string | undefined
    query(): { [name: string]: string }

    /** All of its name. */
    queries(name: string): string[] | undefined
    queries(): { [name: string]: string[] }

    header(name: string): string | undefined
    header(): { [name: string]: string }

    text(): Promise<string>
    json<T = any>(): Promise<T>
    arrayBuffer(): Promise<ArrayBuffer>
  }

  /** The names of the parameters of a path: of '/ws/:room' it is 'room'. */
  export type ParamOf<P extends string> = string extends P ? string : P extends `${infer Head}/${infer Tail}` ? ParamOfSegment<Head> | ParamOf<Tail> : ParamOfSegment<P>
  type ParamOfSegment<S extends string> = S extends `:${infer N}{${string}` ? N : S extends `:${infer N}?` ? N | `${N}?` : S extends `:${infer N}` ? N : never

  export {}

  type IsAny<T> = 0 extends 1 & T ? true : false
  type Defined = {} | null
  type Capital = 'A' | 'B' | 'C' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M' | 'N' | 'O' | 'P' | 'Q' | 'R' | 'S' | 'T' | 'U' | 'V' | 'W' | 'X' | 'Y' | 'Z'

  /** What objects and things are called: a capital letter, then letters and digits. */
  export type Noun = `${Capital}${string}`

  /** `Message.sent`. */
  export type EventType = `${Capital}${string}.${string}`
}

// For *.test.js and *.test.ts, which `go run ./cmd/runtime test` runs.
declare module 'dotdo/test' {
  import type { Noun, Stub } from 'dotdo'

  /** One test. Each begins with an empty store and nobody awake. */
  export const test: Test

  /** Checks a value: `expect(frame).toMatchObject({ type: 'welcome' })`. */
  export const expect: Expect

  /** Opens a socket: `await connect('/ws/general?user=ann')`, or as a verified user: `connect('/ws/general', { user: 'ann' })`. */
  export function connect(path: string, options?: { headers?: { [name: string]: string }; user?: Verified }): Promise<Connection>

  /** Calls a method of an object: `await call.Room('general').present()`. */
  export const call: Call

  /** Makes a request. A body that is no text and no bytes goes as JSON. */
  export function request(method: string, path: string, options?: { body?: unknown; headers?: { [name: string]: string }; user?: Verified }): Promise<Response>

  /** The test's clock. It stands while anything runs. */
  export const clock: Clock

  /** Has an object lose its virtual machine, `hibernate('Room/general')`; without a name, every object that nothing pins. */
  export function hibernate(object?: string): Promise<void>

  /** As whom a test acts: what `c.get('user')` and `ws.user` are then. Claims have an `exp` only if it is given. */
  export type Verified = string | { id: string; claims?: { [name: string]: unknown } }

  export interface Test {
    (name: string, run: () => unknown): void

    /** Leaves a test out. */
    skip(name: string, run: () => unknown): void

    /** Runs this one, and no other without `only`. */
    only(name: string, run: () => unknown): void
  }

  export interface Expect {
    <V>(value: V): Expectation<void> & {
      readonly not: Expectation<void>
      readonly resolves: Expectation<Promise<void>> & { readonly not: Expectation<Promise<void>> }
      readonly rejects: Expectation<Promise<void>> & { readonly not: Expectation<Promise<void>> }
    }

    /** Stands for any value of a kind: `expect.any(String)`. */
    any(kind: abstract new (...args: any[]) => unknown): any
    any(kind: (...args: any[]) => unknown): any

    /** Stands for anything but null and undefined. */
    anything(): any
  }

  export interface Expectation<R> {
    toBe(expected: unknown): R
    toEqual(expected: unknown): R

    /** The fields that are named are equal; there may be more. */
    toMatchObject(expected: object): R
    toContain(item: unknown): R
    toMatch(expected: string | RegExp): R
    toHaveLength(length: number): R
    toBeGreaterThan(other: number | Date): R
    toBeLessThan(other: number | Date): R
    toBeTruthy(): R
    toBeUndefined(): R

    /** By a part of its message, its class, or its fields. */
    toThrow(expected?: string | RegExp | object): R
  }

  export interface Connection {
    readonly path: string

    /** All frames that have come. */
    readonly frames: any[]

    /** 1 open, 2 closing, 3 closed. */
    readonly readyState: 1 | 2 | 3

    /** A string or bytes as they are, anything else as JSON. */
    send(message: unknown): void

    /** The next frame: what JSON says, other text as a string, bytes as an ArrayBuffer. */
    next(options?: Patience): Promise<any>

    /** The next frame that has these fields, or that a function takes. */
    nextWhere(wanted: object | ((frame: any) => unknown), options?: Patience): Promise<any>

    close(code?: number, reason?: string): void

    /** Waits for the end. */
    closed(options?: Patience): Promise<{ code: number; reason: string }>
  }

  export interface Patience {
    /** Milliseconds on the test's clock; 5000 without it. */
    timeout?: number
  }

  export interface Call {
    <T = any>(noun: Noun, id: string): Stub<T>
    readonly [noun: Noun]: <T = any>(id: string) => Stub<T>
  }

  export interface Clock {
    /** Milliseconds since 1970. */
    now(): number

    /** Moves it on, '10s', '1h30m', '2d' or milliseconds, and lets happen what is due meanwhile. */
    advance(time: string | number): Promise<void>
  }

  export {}
}

// Globals: those of the web that scripts have.

/** A client's connection. The object keeps it through its sleep. */
declare class WebSocket {
  static readonly CONNECTING: 0
  static readonly OPEN: 1
  static readonly CLOSING: 2
  static readonly CLOSED: 3

  /** There are no outgoing sockets. */
  private constructor()

  readonly readyState: 0 | 1 | 2 | 3

  /** Who is at its other end, of the request that it was accepted for; undefined if nobody was verified. */
  readonly user: import('dotdo').User | undefined

  /** Sends a message of at most 1 MiB, after what the turn wrote is stored. */
  send(data: string | ArrayBuffer | ArrayBufferView): void

  /** 1000 to 4999, and a reason of at most 123 bytes. */
  close(code?: number, reason?: string): void

  /** Writes up to 16 KiB on the socket, which stay there through the object's sleep. */
  serializeAttachment(value: unknown): void

  /** A copy of what was written on it; null if nothing was. */
  deserializeAttachment<T = any>(): T

  /** Would keep the object awake: `this.ctx.acceptWebSocket(ws)` takes a socket. */
  readonly accept: never

  /** Listeners would not outlive the object's sleep: define `webSocketMessage` and its like. */
  readonly addEventListener: never
}

/** Two ends of a connection: one for `acceptWebSocket`, one for the Response with status 101. */
declare class WebSocketPair {
  readonly 0: WebSocket
  readonly 1: WebSocket
}

/** Two texts of at most 2048 bytes each, for `setWebSocketAutoResponse`. */
declare class WebSocketRequestResponsePair {
  constructor(request: string, response: string)
  readonly request: string
  readonly response: string
}

type BodyInit = string | ArrayBuffer | ArrayBufferView | URLSearchParams | ReadableStream
type HeadersInit = Headers | Iterable<readonly [string, string]> | { [name: string]: string }

declare class Headers {
  constructor(init?: HeadersInit)
  get(name: string): string | null
  has(name: string): boolean
  set(name: string, value: string): void
  append(name: string, value: string): void
  delete(name: string): void
  getSetCookie(): string[]
  forEach(each: (value: string, name: string, headers: Headers) => void, self?: any): void
  entries(): IterableIterator<[string, string]>
  keys(): IterableIterator<string>
  values(): IterableIterator<string>
  [Symbol.iterator](): IterableIterator<[string, string]>
}

interface RequestInit {
  method?: string
  headers?: HeadersInit
  body?: BodyInit | null
  /** Of a fetch: what to do with a redirect. */
  redirect?: 'follow' | 'manual' | 'error'
  /** Of a fetch: ends it. */
  signal?: AbortSignal | null
}

declare class Request {
  constructor(input: string | URL | Request, init?: RequestInit)
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly body: ReadableStream | null
  readonly bodyUsed: boolean
  readonly redirect: 'follow' | 'manual' | 'error'
  readonly signal: AbortSignal
  text(): Promise<string>
  json<T = any>(): Promise<T>
  arrayBuffer(): Promise<ArrayBuffer>
  clone(): Request
}

interface ResponseInit {
  status?: number
  statusText?: string
  headers?: HeadersInit
  /** With status 101: the end of the WebSocketPair that was not accepted. */
  webSocket?: WebSocket
}

declare class Response {
  static json(value: unknown, init?: ResponseInit): Response
  static redirect(location: string | URL, status?: number): Response
  static error(): Response
  constructor(body?: BodyInit | null, init?: ResponseInit)
  readonly status: number
  readonly statusText: string
  readonly ok: boolean
  readonly headers: Headers
  readonly body: ReadableStream | null
  readonly bodyUsed: boolean
  readonly webSocket: WebSocket | null
  readonly redirected: boolean
  readonly url: string
  readonly type: string
  text(): Promise<string>
  json<T = any>(): Promise<T>
  arrayBuffer(): Promise<ArrayBuffer>
  clone(): Response
}

/** A body that can be handed on to a Request or a Response. */
interface ReadableStream {
  readonly [Symbol.toStringTag]?: 'ReadableStream'
}

declare class URL {
  static canParse(url: string | URL, base?: string | URL): boolean
  static parse(url: string | URL, base?: string | URL): URL | null
  constructor(url: string | URL, base?: string | URL)
  href: string
  readonly origin: string
  protocol: string
  username: string
  password: string
  host: string
  hostname: string
  port: string
  pathname: string
  search: string
  hash: string
  readonly searchParams: URLSearchParams
  toString(): string
  toJSON(): string
}

declare class URLSearchParams {
  constructor(init?: string | URLSearchParams | Iterable<readonly [string, string]> | { [name: string]: string })
  readonly size: number
  append(name: string, value: string): void
  delete(name: string, value?: string): void
  get(name: string): string | null
  getAll(name: string): string[]
  has(name: string, value?: string): boolean
  set(name: string, value: string): void
  sort(): void
  forEach(each: (value: string, name: string, params: URLSearchParams) => void, self?: any): void
  toString(): string
  entries(): IterableIterator<[string, string]>
  keys(): IterableIterator<string>
  values(): IterableIterator<string>
  [Symbol.iterator](): IterableIterator<[string, string]>
}

declare class TextEncoder {
  readonly encoding: 'utf-8'
  encode(text?: string): Uint8Array
  encodeInto(text: string, into: Uint8Array): { read: number; written: number }
}

/** Decodes UTF-8. */
declare class TextDecoder {
  constructor(encoding?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  readonly encoding: 'utf-8'
  readonly fatal: boolean
  readonly ignoreBOM: boolean
  decode(data?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string
}

interface Crypto {
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`
  getRandomValues<T extends Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array>(array: T): T
}

declare const crypto: Crypto

/** Writes to the log, with the object and the line. */
interface Console {
  debug(...values: unknown[]): void
  log(...values: unknown[]): void
  info(...values: unknown[]): void
  warn(...values: unknown[]): void
  error(...values: unknown[]): void
  trace(...values: unknown[]): void
}

declare const console: Console

/**
 * Asks a server on the net. The request leaves after what the turn wrote is
 * stored; the await ends the turn, and lets others in.
 */
declare function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>

declare class AbortController {
  readonly signal: AbortSignal
  abort(reason?: any): void
}

declare class AbortSignal {
  static abort(reason?: any): AbortSignal
  static timeout(ms: number): AbortSignal
  static any(signals: Iterable<AbortSignal>): AbortSignal
  private constructor()
  readonly aborted: boolean
  readonly reason: any
  onabort: ((event: AbortEvent) => unknown) | null
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: AbortListener, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: AbortListener): void
}

interface AbortEvent {
  readonly type: 'abort'
  readonly target: AbortSignal
  readonly currentTarget: AbortSignal
}

type AbortListener = ((event: AbortEvent) => unknown) | { handleEvent(event: AbortEvent): unknown }

/** A timer keeps its object awake. What an alarm does outlives a sleep and a restart. */
declare function setTimeout<A extends unknown[]>(run: (...args: A) => unknown, ms?: number, ...args: A): number
declare function setInterval<A extends unknown[]>(run: (...args: A) => unknown, ms?: number, ...args: A): number
declare function clearTimeout(id?: number): void
declare function clearInterval(id?: number): void

/** Runs a function when the running one has ended, in the same turn. */
declare function queueMicrotask(run: () => unknown): void

/** A deep copy, as attachments, things and calls make it. */
declare function structuredClone<T>(value: T): T

declare function atob(base64: string): string
declare function btoa(bytes: string): string

/** The names in a text that are mentioned as @name, each once. Also exported by 'dotdo'. */
declare function extractMentions(text: string): string[]
