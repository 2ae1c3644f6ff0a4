package object

import (
	"chat.example.com.ai/runtime/failpoint"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
)

// release lets a turn out: everything that it did to the world, in the order it
// was made. What it wrote is durable by now, and so are the turns before it.
func (o *Object) release(t *turn) {
	for _, effect := range t.effects {
		switch e := effect.(type) {
		case script.Send:
			frame, ok := e.Message.Frame.(*socket.Frame)
			if !ok {
				frame = socket.NewFrame(e.Message.Text, e.Message.Data)
				e.Message.Frame = frame
			}
			o.send(e.Socket.(client).Socket, frame)
		case script.Close:
			e.Socket.(client).Close(e.Code, e.Reason)
		case script.Attach:
			e.Socket.(client).SetAttachment(e.Data)
		case script.SetAutoResponse:
			if e.Set {
				o.hub.SetAutoResponse(e.Request, e.Response)
			} else {
				o.hub.ClearAutoResponse()
			}
		case *script.Calls:
			o.call(t.act, e)
		case *script.Fetch:
			o.fetch(t.act, e)
		case script.Committed:
			o.node.stats.Events.Add(1)
			o.node.outbox.Committed(e.Delivery)
		case script.Buried:
			o.node.outbox.Buried(e.Letter)
		case script.AlarmSet:
			o.node.alarms.set(e.At)
		case script.Finished:
			if r := t.replies[e.Task]; r != nil {
				r.reply(e.Value, e.Response)
			}
		}
	}
	for _, f := range t.failed {
		f.replier.refuse(f.err)
	}
	o.dropSockets(t.orphans)
}

// send queues a frame. It leaves with what the turns behind this one send, if they
// can be released now too: a socket gets it all in one write.
func (o *Object) send(s *socket.Socket, frame *socket.Frame) {
	if s.Queue(frame) {
		o.unflushed = append(o.unflushed, s)
	}
}

// flush lets out what was sent.
func (o *Object) flush() {
	const keep = 16 // sockets that an object at rest has room for
	for i, s := range o.unflushed {
		failpoint.Hit(failpoint.Release)
		s.Flush()
		o.unflushed[i] = nil
	}
	if o.unflushed = o.unflushed[:0]; cap(o.unflushed) > keep {
		o.unflushed = nil
	}
}
