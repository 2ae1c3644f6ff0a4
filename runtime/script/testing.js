// The module dotdo/test: what a test of scripts has in its hands. It runs in the
// test's virtual machine; what reaches out of that goes through host.
;(function (host) {
  const { setTimeout, clearTimeout, JSON, Promise, Date } = globalThis
  const patience = 5000 // ms on the test's clock: longer than a chat keeps anybody waiting

  class AssertionError extends Error {
    get name() {
      return 'AssertionError'
    }
  }

  // An error of now, to be thrown later: it has the author's line.
  function mark(Kind = Error) {
    return new Kind('')
  }

  function raise(error, message) {
    error.message = message
    return error
  }

  // ---- what the host does

  const begun = new Map()

  function start(name, args, data) {
    const error = mark()
    return new Promise((resolve, reject) => {
      begun.set(host.start(name, JSON.stringify(args), data), { resolve, reject, error })
    })
  }

  function result(id, failure, value, data) {
    const { resolve, reject, error } = begun.get(id)
    begun.delete(id)
    if (failure !== undefined) reject(raise(error, failure))
    else resolve({ value: value === '' ? undefined : JSON.parse(value), data })
  }

  // ---- values, as a reader of a failure sees them

  const isObject = (v) => typeof v === 'object' && v !== null
  const isPlain = (v) => isObject(v) && [Object.prototype, null].includes(Object.getPrototypeOf(v))
  const isBytes = (v) => v instanceof ArrayBuffer || ArrayBuffer.isView(v)
  const bytesOf = (v) => (v instanceof ArrayBuffer ? new Uint8Array(v) : new Uint8Array(v.buffer, v.byteOffset, v.byteLength))
  const keysOf = (v) => Object.keys(v).filter((key) => v[key] !== undefined)
  const maxDepth = 20

  function show(v, indent = '', depth = 0) {
    if (typeof v === 'string') return JSON.stringify(v)
    if (typeof v === 'bigint') return `${v}n`
    if (Object.is(v, -0)) return '-0'
    if (typeof v === 'function') return host.isStub(v) ? '[a call that was not awaited]' : `[Function ${v.name || 'without a name'}]`
    if (!isObject(v)) return String(v)
    if (v instanceof Matcher) return v.shown
    if (v instanceof Date) return isNaN(v) ? 'Invalid Date' : v.toISOString()
    if (v instanceof Error) return `[${v.name}: ${v.message}]`
    if (v instanceof RegExp) return String(v)
    if (v instanceof Promise) return '[a promise that was not awaited]'
    if (isBytes(v)) return `${v.constructor.name} [${Array.from(bytesOf(v)).join(', ')}]`
    if (depth > maxDepth) return '…'
    const inner = indent + '  '
    const list = (open, items, close) =>
      items.length === 0 ? open + close : `${open}\n${items.map((item) => `${inner}${item},\n`).join('')}${indent}${close}`
    const next = (value) => show(value, inner, depth + 1)
    if (Array.isArray(v)) return list('[', Array.from(v, next), ']')
    if (v instanceof Set) return 'Set ' + list('{', Array.from(v, next), '}')
    if (v instanceof Map) return 'Map ' + list('{', Array.from(v, ([key, value]) => `${next(key)} => ${next(value)}`), '}')
    const name = isPlain(v) ? '' : `${v.constructor?.name ?? 'object'} `
    const label = (key) => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key))
    return name + list('{', Object.keys(v).sort().map((key) => `${label(key)}: ${next(v[key])}`), '}')
  }

  // In one line, for a list of what came.
  const brief = (v) => show(v).replace(/,\n\s*([\]}])/g, ' $1').replace(/\n\s*/g, ' ')

  const maxLines = 400 // of a value in a diff; longer ones are shown one after the other

  function difference(expected, received) {
    const a = show(expected).split('\n')
    const b = show(received).split('\n')
    if (a.length === 1 && b.length === 1) return `expected: ${a[0]}\nreceived: ${b[0]}`
    const head = '- expected\n+ received\n'
    if (a.length > maxLines || b.length > maxLines) {
      return head + [...a.map((line) => `- ${line}`), ...b.map((line) => `+ ${line}`)].join('\n')
    }
    // The longest common list of lines, from every pair of places on.
    const common = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0))
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1])
      }
    }
    const lines = []
    let i = 0
    let j = 0
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) {
        lines.push(`  ${a[i]}`)
        i++
        j++
      } else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) {
        lines.push(`- ${a[i++]}`)
      } else {
        lines.push(`+ ${b[j++]}`)
      }
    }
    return head + lines.join('\n')
  }

  // ---- equality

  class Matcher {
    constructor(shown, matches) {
      this.shown = shown
      this.matches = matches
    }
  }

  // Whether b is what a says. With part, b may have more fields than a.
  function equal(a, b, part = false, depth = 0) {
    if (a instanceof Matcher) return a.matches(b)
    if (Object.is(a, b)) return true
    if (!isObject(a) || !isObject(b)) return false
    if (depth > 500) throw new RangeError('the values are nested too deep to be compared')
    const next = (x, y) => equal(x, y, part, depth + 1)
    if (a instanceof Date || b instanceof Date) return a instanceof Date && b instanceof Date && Object.is(+a, +b)
    if (a instanceof Error || (b instanceof Error && !part)) {
      return a instanceof Error && b instanceof Error && a.name === b.name && a.message === b.message
    }
    if (a instanceof RegExp || b instanceof RegExp) return String(a) === String(b)
    if (isBytes(a) || isBytes(b)) {
      return isBytes(a) && isBytes(b) && a.constructor === b.constructor && bytesOf(a).join() === bytesOf(b).join()
    }
    if (Array.isArray(a) || Array.isArray(b)) {
      return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((value, i) => next(value, b[i]))
    }
    if (a instanceof Set || b instanceof Set) {
      return a instanceof Set && b instanceof Set && a.size === b.size && Array.from(a).every((x) => b.has(x) || Array.from(b).some((y) => next(x, y)))
    }
    if (a instanceof Map || b instanceof Map) {
      return a instanceof Map && b instanceof Map && a.size === b.size && Array.from(a).every(([key, x]) => b.has(key) && next(x, b.get(key)))
    }
    const keys = keysOf(a)
    return (part || keys.length === keysOf(b).length) && keys.every((key) => (part ? key in b : Object.hasOwn(b, key)) && next(a[key], b[key]))
  }

  // The fields of b that a names: what there is to compare in a partial match.
  function partOf(a, b) {
    if (Array.isArray(a) && Array.isArray(b)) return b.map((value, i) => (i < a.length ? partOf(a[i], value) : value))
    if (!isPlain(a) || !isObject(b) || Array.isArray(b)) return b
    const part = {}
    for (const key of keysOf(a)) if (key in b) part[key] = partOf(a[key], b[key])
    return part
  }

  function contains(all, item) {
    if (typeof all === 'string') return all.includes(item)
    if (all === null || all === undefined || typeof all[Symbol.iterator] !== 'function') {
      throw new TypeError(`expect(…).toContain looks into a string or a list, not into ${brief(all)}`)
    }
    return Array.from(all).some((each) => equal(item, each))
  }

  // Whether an error is the one that is meant: part of its message, a pattern, a class, or an object of fields.
  function isMeant(error, meant) {
    const message = String(error?.message ?? error)
    if (meant === undefined) return true
    if (typeof meant === 'string') return message.includes(meant)
    if (meant instanceof RegExp) return meant.test(message)
    if (typeof meant === 'function') return error instanceof meant
    return equal(meant, meant instanceof Error ? error : partOf(meant, Object.assign({}, error, { name: error?.name, message })))
  }

  // Each returns whether it holds, and what to say if that is not as expected.
  const matchers = {
    toBe: (received, expected) => [Object.is(received, expected), () => difference(expected, received)],
    toEqual: (received, expected) => [equal(expected, received), () => difference(expected, received)],
    toMatchObject: (received, expected) => [equal(expected, received, true), () => difference(expected, partOf(expected, received))],
    toContain: (received, expected) => [contains(received, expected), () => `expected in it: ${show(expected)}\nreceived: ${show(received)}`],
    toMatch: (received, expected) => [
      typeof received === 'string' && (expected instanceof RegExp ? expected.test(received) : received.includes(expected)),
      () => difference(expected, received),
    ],
    toHaveLength: (received, expected) => [received?.length === expected, () => `expected length: ${expected}\nreceived length: ${received?.length}\nreceived: ${show(received)}`],
    toBeGreaterThan: (received, expected) => [received > expected, () => `expected: greater than ${show(expected)}\nreceived: ${show(received)}`],
    toBeLessThan: (received, expected) => [received < expected, () => `expected: less than ${show(expected)}\nreceived: ${show(received)}`],
    toBeTruthy: (received) => [!!received, () => `expected: something true\nreceived: ${show(received)}`],
    toBeUndefined: (received) => [received === undefined, () => `expected: undefined\nreceived: ${show(received)}`],
    toThrow(received, expected) {
      if (typeof received !== 'function') throw new TypeError('expect(…).toThrow needs a function that it can call; for a promise it is expect(…).rejects.toThrow')
      try {
        received()
      } catch (error) {
        return matchers.thrown(error, expected)
      }
      return [false, () => `expected: ${expected === undefined ? 'an error' : show(expected)}\nreceived: nothing was thrown`]
    },
    thrown: (error, expected) => [isMeant(error, expected), () => `expected: ${expected === undefined ? 'an error' : show(expected)}\nreceived: ${show(error)}`],
  }

  function verify(matcher, name, not, received, args, error = mark(AssertionError)) {
    const [holds, say] = matcher(received, ...args)
    if (holds !== not) return
    throw raise(error, `expect(…)${not ? '.not' : ''}.${name}(${args.length ? '…' : ''})\n${say()}`)
  }

  function expect(received) {
    const outcome = (rejects, not) => {
      const later = {}
      for (const name of Object.keys(matchers)) {
        if (name === 'thrown') continue
        later[name] = (...args) => {
          const error = mark(AssertionError)
          const settled = Promise.resolve(received).then(
            (value) => [false, value],
            (reason) => [true, reason],
          )
          host.hold(1)
          return settled
            .then(([rejected, value]) => {
              if (rejected !== rejects) {
                const way = rejects ? 'rejects' : 'resolves'
                const did = rejected ? `it was rejected with ${show(value)}` : `it was fulfilled with ${show(value)}`
                throw raise(error, `expect(…).${way}.${name}(${args.length ? '…' : ''})\n${did}`)
              }
              verify(name === 'toThrow' ? matchers.thrown : matchers[name], name, not, value, args, error)
            })
            .finally(() => host.hold(-1))
        }
      }
      if (!not) later.not = outcome(rejects, true)
      return later
    }
    const now = (not) => {
      const those = {}
      for (const name of Object.keys(matchers)) {
        if (name === 'thrown') continue
        those[name] = (...args) => {
          const then = received !== null && received !== undefined && (isObject(received) || typeof received === 'function') && received.then
          if (typeof then === 'function') {
            throw new TypeError(`expect(…).${name}: what it got is a promise: await it first, or say .resolves or .rejects`)
          }
          verify(matchers[name], name, not, received, args)
        }
      }
      return those
    }
    return Object.assign(now(false), {
      not: now(true),
      get rejects() {
        return outcome(true, false)
      },
      get resolves() {
        return outcome(false, false)
      },
    })
  }

  /** Stands for any value of a kind: expect.any(String), expect.any(Date). */
  expect.any = (Kind) =>
    new Matcher(`any ${Kind.name}`, (v) =>
      ({ String: 'string', Number: 'number', Boolean: 'boolean', Function: 'function' })[Kind.name] === typeof v || v instanceof Kind)
  /** Stands for anything but null and undefined. */
  expect.anything = () => new Matcher('anything', (v) => v !== null && v !== undefined)

  // ---- connections

  const open = new Map() // by the id of the host

  class Connection {
    #id
    #waiting = new Set()
    #taken = 0 // frames that next and nextWhere have gone by
    #end // { code, reason } once it is closed
    #closing = false
    path

    /** All frames that have come, those that next has given out too. */
    frames = []

    constructor(id, path) {
      this.#id = id
      this.path = path
      open.set(id, {
        frame: (frame) => {
          this.frames.push(frame)
          this.#changed()
        },
        closed: (code, reason) => {
          this.#end = { code, reason }
          this.#changed()
        },
      })
    }

    #changed() {
      for (const look of Array.from(this.#waiting)) look()
    }

    // Waits until look gives something, or says why it never will.
    #until(what, timeout, look) {
      const error = mark()
      return new Promise((resolve, reject) => {
        let timer
        const over = (settle, value) => {
          this.#waiting.delete(attempt)
          if (timer !== undefined) {
            clearTimeout(timer)
            host.hold(-1)
          }
          settle(value)
        }
        const fail = (why) => over(reject, raise(error, `${this.path}: ${what} ${why}\n${this.#came()}`))
        const attempt = () => {
          const found = look()
          if (found) over(resolve, found.value)
          else if (this.#end) fail(`never came: the socket was closed with ${this.#end.code}${this.#end.reason && ` ${JSON.stringify(this.#end.reason)}`}`)
        }
        this.#waiting.add(attempt)
        attempt()
        if (this.#waiting.has(attempt)) {
          host.hold(1)
          timer = setTimeout(() => fail(`did not come within ${timeout / 1000} s`), timeout)
        }
      })
    }

    #came() {
      const all = this.frames.map((frame, i) => `  ${i < this.#taken ? ' ' : '*'} ${brief(frame)}`)
      if (all.length === 0) return 'nothing has come'
      const shown = all.slice(-20)
      return ['what has come (* not taken yet):', ...(shown.length < all.length ? [`    … ${all.length - shown.length} more`] : []), ...shown].join('\n')
    }

    /** Sends a string or bytes as they are, anything else as JSON. */
    send(message) {
      if (this.#end || this.#closing) throw new Error(`${this.path}: the socket is closed`)
      const data = typeof message === 'string' || isBytes(message) ? message : JSON.stringify(message)
      start('send', [this.#id], data)
    }

    /** The next frame: what JSON says, other text as a string, bytes as an ArrayBuffer. */
    next({ timeout = patience } = {}) {
      return this.#until('a frame', timeout, () => this.#taken < this.frames.length && { value: this.frames[this.#taken++] })
    }

    /** The next frame that a function accepts, or that has the fields of an object; those before it are gone by. */
    nextWhere(wanted, { timeout = patience } = {}) {
      const is = typeof wanted === 'function' ? wanted : (frame) => equal(wanted, frame, true)
      let looked = this.#taken
      return this.#until(typeof wanted === 'function' ? 'the wanted frame' : `a frame with ${brief(wanted)}`, timeout, () => {
        for (looked = Math.max(looked, this.#taken); looked < this.frames.length; looked++) {
          if (is(this.frames[looked])) {
            this.#taken = looked + 1
            return { value: this.frames[looked] }
          }
        }
        return undefined
      })
    }

    close(code = 1000, reason = '') {
      if (this.#end || this.#closing) return
      this.#closing = true
      start('close', [this.#id, code, reason])
    }

    /** { code, reason } of the end, once it has come. */
    closed({ timeout = patience } = {}) {
      return this.#until('the end of the socket', timeout, () => this.#end && { value: this.#end })
    }

    /** As in the WebSocket API: 1 open, 2 closing, 3 closed. */
    get readyState() {
      return this.#end ? 3 : this.#closing ? 2 : 1
    }
  }

  function read(data) {
    if (typeof data !== 'string') return data
    try {
      return JSON.parse(data)
    } catch {
      return data
    }
  }

  /** Opens a socket: await connect('/ws/general?user=ann'). */
  async function connect(path, { headers = {}, user = null } = {}) {
    const { value } = await start('connect', [path, headers, user], undefined)
    const connection = new Connection(value.id, path)
    for (const [kind, ...args] of early.get(value.id) ?? []) deliver(value.id, kind, args)
    early.delete(value.id)
    return connection
  }

  const early = new Map() // what came for a connection before the test has it

  function deliver(id, kind, args) {
    const connection = open.get(id)
    if (connection) connection[kind](...args)
    else early.set(id, [...(early.get(id) ?? []), [kind, ...args]])
  }

  // ---- requests and time

  /** Makes a request: await request('PUT', '/users/ann/profile', { body: { name: 'Ann' } }). */
  async function request(method, path, { body, headers = {}, user = null } = {}) {
    const bytes = typeof body === 'string' || isBytes(body)
    const kind = body === undefined || bytes ? {} : { 'Content-Type': 'application/json' }
    const sent = body === undefined || bytes ? body : JSON.stringify(body)
    const { value, data } = await start('request', [method, path, { ...kind, ...headers }, user], sent)
    return new Response([101, 204, 205, 304].includes(value.status) ? null : data, { status: value.status, headers: value.headers })
  }

  const clock = {
    /** Milliseconds since 1970, as Date.now: the clock stands while anything runs. */
    now: () => Date.now(),
    /** Moves the clock on, '10s', '1h30m', '2d' or milliseconds, and lets happen what is due meanwhile. */
    advance: (time) => start('advance', [time]).then(() => undefined),
  }

  /** Has an object lose its virtual machine: hibernate('Room/general'); without a name, every object that nothing pins. */
  const hibernate = (name) => start('hibernate', name === undefined ? [] : [name]).then(() => undefined)

  const test = (name, f) => host.test(name, f)
  test.skip = (name, f) => host.test(name, f, 'skip')
  test.only = (name, f) => host.test(name, f, 'only')

  return {
    exports: { test, expect, connect, request, clock, hibernate, call: host.call },
    result,
    frame: (id, data) => deliver(id, 'frame', [read(data)]),
    closed: (id, code, reason) => deliver(id, 'closed', [code, reason]),
  }
})
