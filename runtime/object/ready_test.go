package object_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

const stateful = `
import { DO } from 'dotdo'
let loads = 0
export default DO.extend({
  init() { this.mine = ++loads },
  onRequest() { this.app.get('/n/:room', (c) => c.text([this.ctx.id.name, this.mine, ++loads].join())) },
})`

func TestAWakeFindsAVMReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, stateful)
		ready := func(want int64) {
			t.Helper()
			if got := n.Stats().Ready.Load(); got != want {
				t.Errorf("%d wakes found a VM ready, want %d", got, want)
			}
		}
		for i := range 20 {
			room := fmt.Sprint("r", i)
			wants(t, n, room, "/n/"+room, room+",1,2") // nothing of another object
			synctest.Wait()
		}
		ready(19)
		wants(t, n, "r0", "/n/r0", "r0,1,3") // awake: its own VM
		awake(t, n, 20*time.Second, 0)
		wants(t, n, "r0", "/n/r0", "r0,1,2") // a new one, never its old one
		synctest.Wait()
		ready(20)
		time.Sleep(2 * time.Minute) // an idle server keeps none
		synctest.Wait()
		wants(t, n, "r1", "/n/r1", "r1,1,2")
		ready(20)
	})
}

func TestNoVMIsReadyOfScriptsThatCouldTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "const at = Date.now()\n"+stateful)
		for i := range 5 {
			room := fmt.Sprint("r", i)
			wants(t, n, room, "/n/"+room, room+",1,2")
			synctest.Wait()
		}
		if got := n.Stats().Ready.Load(); got != 0 {
			t.Errorf("%d wakes found a VM ready", got)
		}
		awake(t, n, 20*time.Second, 0)
	})
}
