// go_perf: go-libp2p on the other side of the measurements of bench/link.py, and /perf/1.0.0 between two of its own.
//
//	go_perf serve LISTEN-ADDRESS tls|noise|quic      prints its address
//	go_perf measure ADDRESS MIB tls|noise|quic       prints the seconds of an upload and of a download
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

const protocol = "/perf/1.0.0"

var zeros = make([]byte, 64<<10)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(w io.Writer, left uint64) error {
	for left > 0 {
		n := min(left, uint64(len(zeros)))
		if _, err := w.Write(zeros[:n]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

func serve(s network.Stream) {
	defer s.Close()
	var head [8]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, s); err == nil {
		_ = send(s, binary.BigEndian.Uint64(head[:]))
	}
}

func newHost(how string, listen ...string) host.Host {
	options := []libp2p.Option{libp2p.ListenAddrStrings(listen...), libp2p.ResourceManager(&network.NullResourceManager{})}
	if how == "noise" {
		options = append(options, libp2p.Security(noise.ID, noise.New))
	} else {
		options = append(options, libp2p.Security(libp2ptls.ID, libp2ptls.New))
	}
	h, err := libp2p.New(options...)
	check(err)
	return h
}

func run(h host.Host, to peer.ID, up, down uint64) float64 {
	s, err := h.NewStream(context.Background(), to, protocol)
	check(err)
	began := time.Now()
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], down)
	_, err = s.Write(head[:])
	check(err)
	check(send(s, up))
	check(s.CloseWrite())
	n, err := io.Copy(io.Discard, s)
	check(err)
	if uint64(n) != down {
		check(fmt.Errorf("%d bytes came, not %d", n, down))
	}
	return time.Since(began).Seconds()
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		h := newHost(os.Args[3], os.Args[2])
		h.SetStreamHandler(protocol, serve)
		for _, a := range h.Addrs() {
			fmt.Printf("%s/p2p/%s\n", a, h.ID())
			break
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	if len(os.Args) != 5 || os.Args[1] != "measure" {
		check(fmt.Errorf("usage: go_perf serve ADDRESS HOW | go_perf measure ADDRESS MIB HOW"))
	}
	info, err := peer.AddrInfoFromString(os.Args[2])
	check(err)
	mib, err := strconv.ParseUint(os.Args[3], 10, 32)
	check(err)
	h := newHost(os.Args[4])
	check(h.Connect(context.Background(), *info))
	fmt.Printf("%.6f %.6f\n", run(h, info.ID, mib<<20, 0), run(h, info.ID, 0, mib<<20))
}
