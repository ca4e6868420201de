// fast_server answers from memory: a server so fast that what a test measures against it is the load generator.
//
// Usage: fast_server ANSWERS. The file is JSON: path and query -> answers that are given in turn, whatever the method.
// The first line of its output is its address.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
)

type answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

type route struct {
	answers []answer
	given   atomic.Uint64
}

func main() {
	document, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var answers map[string][]answer
	if err := json.Unmarshal(document, &answers); err != nil {
		log.Fatal(err)
	}
	routes := make(map[string]*route, len(answers))
	for uri, given := range answers {
		routes[uri] = &route{answers: given}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, serve(routes)))
}

func serve(routes map[string]*route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		found, ok := routes[r.RequestURI]
		if !ok {
			http.NotFound(w, r)
			return
		}
		turn := found.given.Add(1) - 1
		given := found.answers[turn%uint64(len(found.answers))]
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(given.Body)))
		w.WriteHeader(given.Status)
		_, _ = w.Write(given.Body)
	}
}
