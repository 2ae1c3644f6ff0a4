// Command runtime runs the chat rooms of a scripts folder: it loads the scripts,
// opens the data folder, and serves HTTP and WebSockets until it is told to stop.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"chat.example.com.ai/api"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "runtime: "+err.Error())
		os.Exit(1)
	}
}

// options are the flags. Each can also be given by an environment variable.
type options struct {
	addr           string
	scripts        string
	data           string
	checkUpTo      int
	hibernateAfter time.Duration
	maxAwake       int
	turnTimeout    time.Duration
	pingInterval   time.Duration
	watch          bool
	privateFetch   bool
	messageRate    float64
	messageBurst   int
	addresses      api.AddressLimits
	requests       api.RequestLimits
	origins        api.Origins
	proxies        api.Proxies
	tlsCert        string
	tlsKey         string
	jwt            jwtOptions
	log            string
}

// parseOptions reads flags, and the environment for those that are not given. It
// prints the help that is asked for, and returns flag.ErrHelp then.
func parseOptions(args []string, getenv func(string) string, help io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("runtime", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is told once, by whoever it is returned to
	fs.StringVar(&o.addr, "addr", "localhost:8787", "address to listen on")
	fs.StringVar(&o.scripts, "scripts", "./scripts", "folder of the scripts")
	fs.BoolVar(&o.watch, "watch", true, "whether scripts are reloaded when they change; a SIGHUP reloads them in any case")
	fs.StringVar(&o.data, "data", "./data", "folder of the data")
	fs.IntVar(&o.checkUpTo, "check-up-to", store.DefaultCheckUpTo>>20, "MiB of a database that is looked through for damage at the start; 0 is none")
	fs.DurationVar(&o.hibernateAfter, "hibernate-after", object.DefaultHibernateAfter, "how long an idle object keeps its virtual machine")
	fs.IntVar(&o.maxAwake, "max-awake", object.DefaultMaxAwake, "how many objects are awake at a time, as a target; 0 is any number")
	fs.DurationVar(&o.turnTimeout, "turn-timeout", script.DefaultTurnTimeout, "how long a script may run at a time")
	fs.DurationVar(&o.pingInterval, "ping-interval", 30*time.Second, "how often silent sockets are pinged; 0 is never")
	fs.BoolVar(&o.privateFetch, "allow-private-fetch", false, "let scripts fetch from loopback and private addresses")
	fs.Float64Var(&o.messageRate, "message-rate", socket.DefaultRate, "messages a second that a socket may send for long; 0 is any number")
	fs.IntVar(&o.messageBurst, "message-burst", socket.DefaultBurst, "messages that a socket may send at once")
	fs.IntVar(&o.addresses.Handshakes, "address-handshakes", api.DefaultHandshakes, "connections of an address that are neither sockets nor had a response yet; 0 is any number")
	fs.IntVar(&o.addresses.Sockets, "address-sockets", api.DefaultSockets, "sockets of an address; 0 is any number")
	fs.IntVar(&o.addresses.Names, "address-names", api.DefaultNames, "new names of objects that an address may ask for in a minute; 0 is any number")
	fs.Float64Var(&o.requests.Rate, "request-rate", api.DefaultRequestRate, "requests a second that an address may make for long, and a verified user; 0 is any number")
	fs.IntVar(&o.requests.Burst, "request-burst", api.DefaultRequestBurst, "requests that an address or a verified user may make at once")
	fs.BoolVar(&o.addresses.Loopback, "limit-loopback", false, "whether these limits hold for loopback addresses too")
	fs.Var(&o.origins, "allow-origin", "origins, with commas, whose pages may change things, open sockets and read answers, besides the program's own; * is any")
	fs.Var(&o.proxies, "trusted-proxy", "addresses or CIDRs, with commas, or loopback, of proxies that say in X-Forwarded-For, -Proto and -Host what their clients asked")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "file of the certificate chain in PEM, to serve HTTPS; with --tls-key")
	fs.StringVar(&o.tlsKey, "tls-key", "", "file of the certificate's key in PEM")
	fs.StringVar(&o.jwt.secret, "jwt-secret", "", "secret of at least 32 bytes that tokens are signed with (HS256); every request then needs one")
	fs.StringVar(&o.jwt.publicKey, "jwt-public-key", "", "file in PEM of the public key that tokens are verified with, in place of --jwt-secret")
	fs.StringVar(&o.jwt.issuer, "jwt-issuer", "", "who tokens must be from: their iss")
	fs.StringVar(&o.jwt.audience, "jwt-audience", "", "whom tokens must be for: their aud")
	fs.StringVar(&o.log, "log", "text", "format of the log: text or json")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(help, "Runs the chat rooms of a scripts folder. Each flag is an environment variable too.\n\n"+
			"  runtime new NAME      writes a script to begin with, and its test\n"+
			"  runtime test [files]  runs the tests of the scripts\n"+
			"  runtime check         looks through the data for damage, while no program runs on it\n"+
			"  runtime deadletters   lists, replays or drops what could not be delivered\n"+
			"  runtime backup FILE   copies the database, while the program runs too\n"+
			"  runtime restore FILE  puts such a copy in place of the database\n"+
			"  runtime healthz       asks the running program whether it serves\n"+
			"  runtime --version     says what this binary was built from\n\n")
		fs.VisitAll(func(f *flag.Flag) {
			fmt.Fprintf(help, "  --%-21s %s\n  %23s %s, default %s\n", f.Name, f.Usage, "", variable(f), cmp.Or(f.DefValue, "none"))
		})
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w: see --help", err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: see --help", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		name := variable(f)
		if value := getenv(name); value != "" && !given[f.Name] && err == nil {
			if e := fs.Set(f.Name, value); e != nil {
				err = fmt.Errorf("%s=%q: %v", name, value, e)
			}
		}
	})
	switch {
	case err != nil:
	case o.log != "text" && o.log != "json":
		err = fmt.Errorf("--log %q: must be text or json", o.log)
	case (o.tlsCert == "") != (o.tlsKey == ""):
		err = errors.New("--tls-cert and --tls-key go together")
	case o.maxAwake < 0:
		err = fmt.Errorf("--max-awake %d: must be 0 or greater", o.maxAwake)
	case o.messageRate < 0 || o.messageBurst < 1 || o.addresses.Handshakes < 0 || o.addresses.Sockets < 0 || o.addresses.Names < 0:
		err = errors.New("limits must be 0 or greater (--message-burst: 1 or greater)")
	case o.requests.Burst < 1 || o.requests.Rate != 0 && !(o.requests.Rate >= minRequestRate):
		err = fmt.Errorf("--request-rate must be 0 or at least %v, --request-burst 1 or greater", minRequestRate)
	case o.checkUpTo < 0:
		err = fmt.Errorf("--check-up-to %d: must be 0 or greater", o.checkUpTo)
	case o.turnTimeout <= 0, o.hibernateAfter <= 0, o.pingInterval < 0:
		err = errors.New("durations must be greater than 0 (--ping-interval: or 0)")
	}
	return o, err
}

// minRequestRate is the least that can be meant: one request in a quarter of an hour.
const minRequestRate = 0.001

// variable is the environment variable of a flag.
func variable(f *flag.Flag) string {
	return "CHAT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// run is the program, from its arguments to its end. It returns nil when ctx
// ended and everything was stopped in order.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "new":
			return writeNew(args[1:], getenv, stdout)
		case "test":
			return runTests(ctx, args[1:], getenv, stdout)
		case "check":
			return runCheck(ctx, args[1:], getenv, stdout)
		case "deadletters":
			return runDeadLetters(ctx, args[1:], getenv, stdout)
		case "backup":
			return runBackup(ctx, args[1:], getenv, stdout)
		case "restore":
			return runRestore(ctx, args[1:], getenv, stdout)
		case "healthz":
			return runHealthz(ctx, args[1:], getenv, stdout)
		case "--version":
			return writeVersion(stdout)
		}
	}
	o, err := parseOptions(args, getenv, stdout)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	frames := stderr
	if o.log == "json" {
		log, frames = slog.New(slog.NewJSONHandler(stderr, nil)), nil
	}
	s, err := start(ctx, o, log, frames)
	if err != nil {
		return err
	}
	if o.log == "text" {
		s.describe(stdout)
	} else {
		log.Info("ready", "addr", s.address(), "scripts", o.scripts, "data", o.data, "users", s.users, "connections", s.limit.Room())
	}
	if err := notifyReady(getenv("NOTIFY_SOCKET")); err != nil {
		log.Warn("systemd cannot be told that the program serves", "error", err)
	}
	select {
	case <-ctx.Done():
	case err = <-s.served:
	}
	return errors.Join(err, s.stop())
}
