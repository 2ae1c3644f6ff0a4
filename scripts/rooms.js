// The list of rooms. A route without a parameter, and whatever belongs to all,
// goes to one object: App/default.

import { $, DO } from 'dotdo'

const pageSize = 1000 // rooms; ?after= the last name reads on

export default DO.extend({
  $type: 'App',

  onRequest() {
    this.app.get('/rooms', async (c) => {
      const after = c.req.query('after')
      const rooms = await this.things.list({
        $type: 'Room',
        where: after ? { $id: { $gt: after } } : {}, // any name: nobody need have been there
        orderBy: { $id: 'asc' },
        limit: pageSize,
      })
      return c.json(rooms.map(({ $id, created }) => ({ room: $id, created })))
    })
  },

  /** Notes a room. It may be told of the same one twice. */
  async addRoom({ $id, name, $createdAt }) {
    if (await this.things.get($id)) return
    this.things.create({ $type: 'Room', $id, name, created: $createdAt })
  },
})

$.on.Room.created((event) => {
  $.App('default').addRoom(event.data)
})
