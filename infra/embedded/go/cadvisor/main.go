// Container metrics of the embedded stack: cAdvisor's library behind one /metrics endpoint.
//
// cAdvisor's own cmd module is not published as a package, so this is the smallest main around the library: it
// reports the root control group and those below -cgroup-prefix, under cAdvisor's own series names and labels.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	v2 "github.com/google/cadvisor/info/v2"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/metrics"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

const (
	// A scrape reads the control groups again when what is known is older than this.
	maxAge = time.Second
	// New control groups are found by inotify; this bounds how stale a group is that nobody scrapes.
	housekeeping = 15 * time.Second
	// Only the newest sample is ever served.
	keep = time.Minute
)

var reported = container.MetricSet{
	container.CpuUsageMetrics:     {},
	container.MemoryUsageMetrics:  {},
	container.NetworkUsageMetrics: {},
	container.DiskIOMetrics:       {},
}

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on; another one only inside a container")
	port := flag.Int("port", 8888, "TCP port")
	prefix := flag.String("cgroup-prefix", "", "control groups to report beside the root, such as /perf-suite")
	flag.Parse()
	if *prefix == "" {
		log.Fatal("-cgroup-prefix is required: without it every control group of the machine would be reported")
	}
	if err := serve(fmt.Sprintf("%s:%d", *host, *port), *prefix); err != nil {
		log.Fatal(err)
	}
}

func serve(address, prefix string) error {
	containers, err := newManager(prefix)
	if err != nil {
		return fmt.Errorf("the control groups cannot be read: %w", err)
	}
	if err := containers.Start(); err != nil {
		return fmt.Errorf("the control groups cannot be watched: %w", err)
	}
	age := maxAge
	options := v2.RequestOptions{IdType: v2.TypeName, Count: 1, Recursive: true, MaxAge: &age}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics.NewPrometheusCollector(containers, nil, reported, clock.RealClock{}, options),
		metrics.NewPrometheusMachineCollector(containers, reported),
	)
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return http.ListenAndServe(address, nil)
}

func newManager(prefix string) (manager.Manager, error) {
	interval, dynamic := housekeeping, false
	return manager.New(
		memory.New(keep, nil), sysfs.NewRealSysFs(),
		manager.HousekeepingConfig{Interval: &interval, AllowDynamic: &dynamic},
		reported, http.DefaultClient, []string{prefix}, nil, "", 0,
	)
}
