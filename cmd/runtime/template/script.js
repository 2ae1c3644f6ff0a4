// Every /NAME/… is an object of its own: /NAME/one is NOUN/one, with its own
// sockets and its own things. It sleeps when nothing happens, and who is connected
// stays connected. README.md in this folder says what else a script can use.

import { DO } from 'dotdo'

export default DO.extend({
  $type: 'NOUN',

  onRequest() {
    // The first parameter of a path names the object.
    this.app.get('/NAME/:id', async (c) => {
      if (c.req.header('Upgrade') !== 'websocket') return c.json(await this.notes())
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['all']) // a tag: whom broadcast reaches
      return new Response(null, { status: 101, webSocket: client })
    })
  },

  // A frame came. What this does happens as a whole or not at all, and nobody
  // hears of it before it is on disk.
  webSocketMessage(ws, data) {
    if (typeof data !== 'string') return
    const note = this.things.create({ $type: 'Note', text: data, sent: new Date() })
    this.broadcast('all', note)
  },

  // The newest first. Any other object can ask for it: await $.NOUN('one').notes()
  notes() {
    return this.things.list({ $type: 'Note', orderBy: { sent: 'desc' }, limit: 50 })
  },
})
