package scripttest_test

import (
	"bytes"
	"testing"

	"chat.example.com.ai/cmd/runtime/scripttest"
)

// whoami tells each client who it is.
const whoami = `import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      server.serializeAttachment({ at: 'accept', id: server.user?.id })
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.all('/who/:room', (c) => c.json({
      user: c.get('user') ?? null, same: c.get('user') === c.var.user, header: c.req.header('Authorization') ?? null, url: c.req.url,
    }))
  },
  webSocketClose(ws) { this.last = ws.user?.id },
  ended() { return this.last },
  webSocketMessage(ws) { ws.send(JSON.stringify({ user: ws.user ?? null, attached: ws.deserializeAttachment() })) },
})
`

// What tests do as somebody.
var users = map[string]string{
	"a request": `
		expect(await (await request('GET', '/who/a', { user: 'ann' })).json()).toEqual(
			{ user: { id: 'ann', claims: { sub: 'ann' } }, same: true, header: null, url: 'http://localhost/who/a' })
		expect(await (await request('POST', '/who/a', { user: { id: 'bob', claims: { role: 'admin' } }, body: 'x' })).json()).toMatchObject(
			{ user: { id: 'bob', claims: { sub: 'bob', role: 'admin' } } })
		expect((await (await request('GET', '/who/a')).json()).user).toBe(null)
		expect(await (await request('GET', '/who/a?token=x&b=1', { headers: { 'X-Y': 'z' } })).json()).toMatchObject({ user: null, url: 'http://localhost/who/a?b=1' })
		expect(await (await request('GET', '/who/a', { headers: { Authorization: 'Bearer x' } })).json()).toMatchObject({ user: null, header: null })`,
	"a socket": `
		const ann = await connect('/ws/a', { user: 'ann' }), guest = await connect('/ws/a')
		for (let i = 0; i < 2; i++) {
			ann.send('?'); guest.send('?')
			expect(await ann.next()).toEqual({ user: { id: 'ann', claims: { sub: 'ann' } }, attached: { at: 'accept', id: 'ann' } })
			expect(await guest.next()).toEqual({ user: null, attached: { at: 'accept', id: undefined } })
			await hibernate('Room/a')
		}`,
	"one whose token expires": `
		const exp = clock.now() / 1000 + 60
		const ann = await connect('/ws/a', { user: { id: 'ann', claims: { exp } } })
		await clock.advance('59s')
		expect(ann.readyState).toBe(1)
		await clock.advance('2s')
		expect(await ann.closed()).toEqual({ code: 1008, reason: 'token expired' })
		await clock.advance(1) // the room hears of it
		expect(await call.Room('a').ended()).toBe('ann')
		const r = await request('GET', '/who/a', { user: { id: 'ann', claims: { exp } } })
		expect(r.status).toBe(401)
		expect(await r.json()).toEqual({ error: 'the token has expired' })`,
	"nobody that there can be": `
		await expect(connect('/ws/a', { user: '' })).rejects.toThrow('no token can be of this user')
		await expect(request('GET', '/who/a', { user: 7 })).rejects.toThrow('a user is a name, or { id, claims }')`,
}

func TestTestsActAsUsers(t *testing.T) {
	for name, body := range users {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, "room.js", whoami)
			write(t, folder, "a.test.js", imports+"test('it', async () => {"+body+"\n})")
			var out bytes.Buffer
			counts, err := scripttest.Run(t.Context(), scripttest.Options{Folder: folder}, &out)
			if err != nil || counts != (scripttest.Counts{Passed: 1}) {
				t.Errorf("%+v, %v\n%s", counts, err, &out)
			}
		})
	}
}
