package api

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"chat.example.com.ai/runtime/event"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// Metrics is what /metrics shows. Its methods may be called from any goroutine.
type Metrics struct {
	registry     *prometheus.Registry
	handler      http.Handler
	turnTime     prometheus.Histogram
	commitTime   prometheus.Histogram
	batchSize    prometheus.Histogram
	scriptErrors *prometheus.CounterVec
}

// NewMetrics makes the metrics of one program. Watch adds what is counted elsewhere.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		turnTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "chat_turn_seconds", Help: "Time that turns took in the virtual machine.",
			Buckets: prometheus.ExponentialBuckets(10e-6, 4, 10)}),
		commitTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "chat_commit_seconds", Help: "Time that commits took, until durable.",
			Buckets: []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3}}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "chat_commit_batches", Help: "Turns that shared a commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		scriptErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chat_script_errors_total", Help: "Errors that scripts caused, by the kind of event."}, []string{"event"}),
	}
	m.registry.MustRegister(m.turnTime, m.commitTime, m.batchSize, m.scriptErrors,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// Turn notes a turn.
func (m *Metrics) Turn(took time.Duration) { m.turnTime.Observe(took.Seconds()) }

// Commit notes a commit of so many batches.
func (m *Metrics) Commit(batches int, took time.Duration) {
	m.commitTime.Observe(took.Seconds())
	m.batchSize.Observe(float64(batches))
}

// ScriptError notes an error of a script. kind is one of a few words: it becomes
// a label.
func (m *Metrics) ScriptError(kind string) { m.scriptErrors.WithLabelValues(kind).Inc() }

func (m *Metrics) gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

func (m *Metrics) counter(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

// WatchLimit adds the counts of the limit of connections.
func (m *Metrics) WatchLimit(c *ConnLimit) {
	m.gauge("chat_connections", "Open connections, sockets among them.", func() float64 { return float64(c.Open()) })
	m.gauge("chat_connections_max", "Connections that the limit of open files has room for.", func() float64 { return float64(c.Room()) })
	m.counter("chat_connections_refused_total", "Connections that found no room.", func() float64 { return float64(c.Refused()) })
	m.counter("chat_accept_errors_total", "Failures to accept a connection, for lack of descriptors or memory.", func() float64 { return float64(c.AcceptErrors()) })
}

// WatchAddresses adds the counts of the limits of addresses.
func (m *Metrics) WatchAddresses(l *AddressLimit) {
	m.gauge("chat_addresses", "Addresses that have connections; exempt ones are not counted.", func() float64 { return float64(l.Known()) })
	m.counter("chat_address_connections_refused_total", "Connections of addresses that had too many.", func() float64 { return float64(l.handshakes.count()) })
	m.counter("chat_address_sockets_refused_total", "Sockets of addresses that had too many.", func() float64 { return float64(l.sockets.count()) })
	m.counter("chat_address_names_refused_total", "Requests for new names of addresses that asked for too many.", func() float64 { return float64(l.names.count()) })
}

// watchBodies adds what the bodies of requests and responses take.
func (m *Metrics) watchBodies(s *Server) {
	m.gauge("chat_request_bodies_bytes", "Memory of the bodies of requests under way.", func() float64 { return float64(s.requests.held.Load()) })
	m.gauge("chat_response_bodies_bytes", "Memory of the bodies of responses under way.", func() float64 { return float64(s.responses.held.Load()) })
	m.counter("chat_request_bodies_refused_total", "Requests whose bodies found no room.", func() float64 { return float64(s.requests.trouble.count()) })
	m.counter("chat_response_bodies_refused_total", "Responses that found no room.", func() float64 { return float64(s.responses.trouble.count()) })
}

// watchEntry adds what was refused because of where it is from or for which host.
func (m *Metrics) watchEntry(s *Server) {
	m.counter("chat_origins_refused_total", "Requests of pages that may not make them.", func() float64 { return float64(s.foreign.count()) })
	m.counter("chat_hosts_refused_total", "Requests for hosts that are not known.", func() float64 { return float64(s.unknown.count()) })
}

// WatchRequests adds the counts of the limits of requests.
func (m *Metrics) WatchRequests(l *RequestLimit) {
	m.counter("chat_address_requests_refused_total", "Requests of addresses that made too many.", func() float64 { return float64(l.ofAddress.count()) })
	m.counter("chat_user_requests_refused_total", "Requests of verified users who made too many.", func() float64 { return float64(l.ofUsers.count()) })
}

// Watch adds the counts that others keep.
func (m *Metrics) Watch(node *object.Node, sockets *socket.Server, events *event.Dispatcher) {
	stats, gauge, counter := node.Stats(), m.gauge, m.counter
	gauge("chat_sockets", "Open client sockets.", func() float64 { return float64(sockets.Len()) })
	gauge("chat_sockets_parked", "Open client sockets that have no goroutine.", func() float64 { return float64(sockets.Stats().Parked) })
	gauge("chat_objects_awake", "Objects that have a virtual machine.", func() float64 { return float64(stats.Awake.Load()) })
	gauge("chat_objects_waiting", "Objects with work that wait until others are asleep.", func() float64 { return float64(stats.Waiting.Load()) })
	counter("chat_wakes_total", "Objects that were given a virtual machine.", func() float64 { return float64(stats.Wakes.Load()) })
	counter("chat_wakes_ready_total", "Wakes that found a virtual machine ready.", func() float64 { return float64(stats.Ready.Load()) })
	gauge("chat_objects_known", "Objects in memory, hibernating ones with sockets among them.", func() float64 { return float64(node.Known()) })
	counter("chat_turns_total", "Turns that ran.", func() float64 { return float64(stats.Turns.Load()) })
	counter("chat_events_total", "Deliveries that turns put into the outbox.", func() float64 { return float64(stats.Events.Load()) })
	counter("chat_calls_total", "Calls between objects.", func() float64 { return float64(stats.Calls.Load()) })
	counter("chat_round_trips_total", "Round trips that the calls took.", func() float64 { return float64(stats.RoundTrips.Load()) })
	counter("chat_fetches_total", "Fetches of scripts.", func() float64 { return float64(stats.Fetches.Load()) })
	counter("chat_fetch_errors_total", "Fetches that got no response.", func() float64 { return float64(stats.FetchErrors.Load()) })
	counter("chat_commit_errors_total", "Turns that could not be committed.", func() float64 { return float64(stats.CommitErrors.Load()) })
	counter("chat_turns_hung_total", "Turns that could not be interrupted.", func() float64 { return float64(stats.Hung.Load()) })
	counter("chat_alarms_total", "Alarms that fired, further attempts among them.", func() float64 { return float64(stats.Alarms.Load()) })
	counter("chat_alarms_failed_total", "Attempts of alarms that failed.", func() float64 { return float64(stats.AlarmsFailed.Load()) })
	counter("chat_schedules_total", "Runs of $.every that came due.", func() float64 { return float64(stats.Scheduled.Load()) })
	counter("chat_frames_in_total", "Frames that clients sent.", func() float64 { return float64(sockets.Stats().FramesIn) })
	counter("chat_frames_out_total", "Frames sent to clients.", func() float64 { return float64(sockets.Stats().FramesOut) })
	counter("chat_sockets_slow_total", "Sockets closed because their peer read too slowly.", func() float64 { return float64(sockets.Stats().SlowClosed) })
	counter("chat_sockets_expired_total", "Sockets closed because their token has expired.", func() float64 { return float64(sockets.Stats().Expired) })
	counter("chat_messages_delayed_total", "Times that a client which sent faster than it may was held up.", func() float64 { return float64(sockets.Stats().Delayed) })
	counter("chat_deliveries_total", "Deliveries of the outbox that reached their target.", func() float64 { return float64(events.Stats().Delivered) })
	counter("chat_retries_total", "Deliveries that failed and are tried again, each time counted.", func() float64 { return float64(events.Stats().Retried) })
	counter("chat_dead_letters_total", "Deliveries that were given up.", func() float64 { return float64(events.Stats().Dead) })
}

// WatchStore adds what the store holds for later. It is counted when the metrics are
// asked for, which takes longer the more there is.
func (m *Metrics) WatchStore(s *store.Store) { m.registry.MustRegister(storeCollector{s}) }

// storeCollector reads the store once for all that is told of it.
type storeCollector struct{ store *store.Store }

var (
	outboxLength = prometheus.NewDesc("chat_outbox", "Deliveries in the outbox, those that wait to be tried again among them.", nil, nil)
	outboxAge    = prometheus.NewDesc("chat_outbox_oldest_seconds", "Age of the oldest delivery in the outbox; 0 without any.", nil, nil)
	deadLetters  = prometheus.NewDesc("chat_dead_letters", "Dead letters that are kept.", nil, nil)
)

// metricsLimit is how long the store may take to count.
const metricsLimit = 5 * time.Second

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(to chan<- *prometheus.Desc) {
	to <- outboxLength
	to <- outboxAge
	to <- deadLetters
}

// Collect implements prometheus.Collector. A store that can't be read leaves its
// figures out, and not those of all others.
func (c storeCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsLimit)
	defer cancel()
	stats, err := c.store.Stats(ctx)
	if err != nil {
		return
	}
	age := 0.0
	if stats.OldestAt != 0 {
		age = max(0, time.Since(time.UnixMilli(stats.OldestAt)).Seconds())
	}
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(outboxLength, float64(stats.Outbox))
	gauge(outboxAge, age)
	gauge(deadLetters, float64(stats.DeadLetters))
}
