// Kubo's client/rpc against one node: scenario API-URL ADDRESS-OF-ANOTHER-NODE [AREA…]. Prints "ok AREA" for each area, or
// "failed AREA: why" and ends with 1. It passes against Kubo, too.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/boxo/files"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/ipfs/kubo/client/rpc"
	iface "github.com/ipfs/kubo/core/coreiface"
	"github.com/ipfs/kubo/core/coreiface/options"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

type test struct {
	ctx   context.Context
	api   *rpc.HttpApi
	other peer.AddrInfo
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Errorf(format, args...))
	}
}

func do(err error) {
	if err != nil {
		panic(err)
	}
}

func noise(size int) []byte {
	out := make([]byte, size)
	for i, x := 0, uint32(1); i < size; i++ {
		x = x*1103515245 + 12345
		out[i] = byte(x >> 16)
	}
	return out
}

func (t *test) add(data string) path.ImmutablePath {
	return must(t.api.Unixfs().Add(t.ctx, files.NewBytesFile([]byte(data))))
}

func (t *test) read(p path.Path) []byte {
	node := must(t.api.Unixfs().Get(t.ctx, p))
	return must(io.ReadAll(files.ToFile(node)))
}

func (t *test) unixfs() {
	hello := t.add("hello\n")
	check(hello.RootCid().String() == "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN", "add gave %s", hello)
	check(string(t.read(hello)) == "hello\n", "other bytes")
	data := noise(700000)
	big := must(t.api.Unixfs().Add(t.ctx, files.NewBytesFile(data), options.Unixfs.CidVersion(1), options.Unixfs.Chunker("size-100000")))
	check(bytes.Equal(t.read(big), data), "other bytes of a large file")
	file := files.ToFile(must(t.api.Unixfs().Get(t.ctx, big)))
	seeker, ok := file.(io.Seeker)
	check(ok, "the file cannot seek")
	must(seeker.Seek(500000, io.SeekStart))
	part := make([]byte, 10)
	must(io.ReadFull(file, part))
	check(bytes.Equal(part, data[500000:500010]), "seek")
	tree := files.NewMapDirectory(map[string]files.Node{
		"a.txt": files.NewBytesFile([]byte("a")),
		"sub":   files.NewMapDirectory(map[string]files.Node{"b": files.NewBytesFile([]byte("bb"))}),
	})
	root := must(t.api.Unixfs().Add(t.ctx, tree))
	entries := make(chan iface.DirEntry)
	done := make(chan error, 1)
	go func() { done <- t.api.Unixfs().Ls(t.ctx, root, entries) }()
	var names []string
	for e := range entries {
		names = append(names, fmt.Sprintf("%s %s", e.Name, e.Type))
	}
	do(<-done)
	slices.Sort(names)
	check(slices.Equal(names, []string{"a.txt file", "sub directory"}), "ls: %v", names)
	dir := files.ToDir(must(t.api.Unixfs().Get(t.ctx, root)))
	count := 0
	do(files.Walk(dir, func(string, files.Node) error { count++; return nil }))
	check(count == 4, "walked over %d nodes", count)
	b := must(t.api.ResolveNode(t.ctx, must(path.Join(root, "sub", "b"))))
	resolved, rest, err := t.api.ResolvePath(t.ctx, must(path.Join(root, "sub", "b")))
	do(err)
	check(resolved.RootCid().Equals(b.Cid()) && len(rest) == 0, "resolved to %s, rest %v", resolved, rest)
}

func (t *test) block() {
	stat := must(t.api.Block().Put(t.ctx, strings.NewReader("a block"), options.Block.CidCodec("raw")))
	check(stat.Size() == 7, "size %d", stat.Size())
	check(string(must(io.ReadAll(must(t.api.Block().Get(t.ctx, stat.Path()))))) == "a block", "other bytes")
	check(must(t.api.Block().Stat(t.ctx, stat.Path())).Size() == 7, "stat")
	do(t.api.Block().Rm(t.ctx, stat.Path()))
	err := t.api.Block().Rm(t.ctx, stat.Path())
	check(err != nil && ipld.IsNotFound(err), "rm of nothing: %v", err)
	do(t.api.Block().Rm(t.ctx, stat.Path(), options.Block.Force(true)))
	offline := must(t.api.WithOptions(options.Api.Offline(true)))
	_, err = offline.Block().Get(t.ctx, stat.Path())
	check(err != nil && ipld.IsNotFound(err), "get of nothing: %v", err)
}

func (t *test) dag() {
	node := must(t.api.Dag().Get(t.ctx, t.add("in a dag").RootCid()))
	check(len(node.RawData()) > 8, "%d bytes", len(node.RawData()))
	do(t.api.Dag().Add(t.ctx, node))
	do(t.api.Dag().AddMany(t.ctx, []ipld.Node{node, node}))
	var out struct {
		Cid struct {
			Target string `json:"/"`
		}
	}
	body := files.NewMultiFileReader(files.NewMapDirectory(map[string]files.Node{"": files.NewBytesFile([]byte(`{"a":{"b":[1]}}`))}), true, false)
	do(t.api.Request("dag/put").Body(body).Exec(t.ctx, &out))
	response := must(t.api.Request("dag/get", out.Cid.Target+"/a").Send(t.ctx))
	check(response.Error == nil, "dag/get: %v", response.Error)
	check(strings.TrimSpace(string(must(io.ReadAll(response.Output)))) == `{"b":[1]}`, "dag/get")
	_ = response.Close()
}

func (t *test) pin() {
	p := t.add("pinned by go")
	do(t.api.Pin().Add(t.ctx, p, options.Pin.Name("a name")))
	kind, pinned, err := t.api.Pin().IsPinned(t.ctx, p)
	do(err)
	check(pinned && kind == "recursive", "pinned: %v %s", pinned, kind)
	pins := make(chan iface.Pin)
	done := make(chan error, 1)
	go func() { done <- t.api.Pin().Ls(t.ctx, pins, options.Pin.Ls.Recursive(), options.Pin.Ls.Detailed(true)) }()
	found := ""
	for pin := range pins {
		if pin.Path().RootCid().Equals(p.RootCid()) {
			found = pin.Name()
		}
	}
	do(<-done)
	check(found == "a name", "the pin's name is %q", found)
	to := t.add("pinned later")
	do(t.api.Pin().Update(t.ctx, p, to))
	_, pinned, err = t.api.Pin().IsPinned(t.ctx, p)
	do(err)
	check(!pinned, "still pinned after the update")
	do(t.api.Pin().Rm(t.ctx, to))
	err = t.api.Pin().Rm(t.ctx, to)
	check(err != nil && strings.Contains(err.Error(), "not pinned"), "rm of nothing: %v", err)
	statuses := must(t.api.Pin().Verify(t.ctx))
	for status := range statuses {
		check(status.Ok(), "a broken pin: %v", status.Err())
	}
}

func (t *test) key() {
	made := must(t.api.Key().Generate(t.ctx, "go-key"))
	check(made.Name() == "go-key", "name %s", made.Name())
	keys := must(t.api.Key().List(t.ctx))
	check(slices.ContainsFunc(keys, func(k iface.Key) bool { return k.Name() == "go-key" && k.ID() == made.ID() }), "not listed")
	renamed, replaced, err := t.api.Key().Rename(t.ctx, "go-key", "go-other")
	do(err)
	check(renamed.Name() == "go-other" && !replaced, "rename")
	_, signature, err := t.api.Key().Sign(t.ctx, "go-other", []byte("data"))
	do(err)
	_, valid, err := t.api.Key().Verify(t.ctx, "go-other", signature, []byte("data"))
	do(err)
	check(valid, "the signature is not valid")
	must(t.api.Key().Remove(t.ctx, "go-other"))
	check(must(t.api.Key().Self(t.ctx)).ID() != "", "self")
}

func (t *test) name() {
	p := t.add("named by go")
	must(t.api.Key().Generate(t.ctx, "go-name"))
	name := must(t.api.Name().Publish(t.ctx, p, options.Name.AllowOffline(true), options.Name.Key("go-name")))
	got := must(t.api.Name().Resolve(t.ctx, name.String()))
	check(got.String() == p.String(), "resolved to %s", got)
	must(t.api.Key().Remove(t.ctx, "go-name"))
}

func (t *test) swarm() {
	do(t.api.Swarm().Connect(t.ctx, t.other))
	peers := must(t.api.Swarm().Peers(t.ctx))
	at := slices.IndexFunc(peers, func(c iface.ConnectionInfo) bool { return c.ID() == t.other.ID })
	check(at >= 0, "not among the peers")
	must(peers[at].Latency())
	must(peers[at].Streams())
	check(len(must(t.api.Swarm().ListenAddrs(t.ctx))) > 0 && len(must(t.api.Swarm().LocalAddrs(t.ctx))) > 0, "own addresses")
	known := must(t.api.Swarm().KnownAddrs(t.ctx))
	check(len(known[t.other.ID]) > 0, "known addresses")
	do(t.api.Swarm().Disconnect(t.ctx, must(peer.AddrInfoToP2pAddrs(&t.other))[0]))
}

func (t *test) raw() {
	var version struct{ Version string }
	do(t.api.Request("version").Exec(t.ctx, &version))
	check(version.Version == "0.42.0", "version %s", version.Version)
	var stat struct{ RepoSize, NumObjects uint64 }
	do(t.api.Request("repo/stat").Exec(t.ctx, &stat))
	check(stat.NumObjects > 0 && stat.RepoSize > 0, "repo/stat %+v", stat)
	var bitswap struct{ BlocksReceived uint64 }
	do(t.api.Request("bitswap/stat").Exec(t.ctx, &bitswap))
	var list struct{ Peers []string }
	do(t.api.Request("bootstrap/list").Exec(t.ctx, &list))
	err := t.api.Request("pin/ls", "not-a-cid").Exec(t.ctx, nil)
	check(err != nil && strings.Contains(err.Error(), "invalid path"), "pin/ls: %v", err)
	err = t.api.Request("no/such/command").Exec(t.ctx, nil)
	check(err != nil, "an unknown command")
	ctx, cancel := context.WithTimeout(t.ctx, 300*time.Millisecond)
	defer cancel()
	_, err = t.api.Block().Get(ctx, path.FromCid(must(cid.Decode("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"))))
	check(err != nil, "a block that nobody has")
}

func (t *test) files() {
	response := must(t.api.Request("files/mkdir", "/go").Option("parents", true).Send(t.ctx))
	check(response.Error == nil, "files/mkdir: %v", response.Error)
	_ = response.Close()
	body := files.NewMultiFileReader(files.NewMapDirectory(map[string]files.Node{"": files.NewBytesFile(noise(300000))}), true, false)
	do(t.api.Request("files/write", "/go/file").Option("create", true).Body(body).Exec(t.ctx, nil))
	response = must(t.api.Request("files/read", "/go/file").Send(t.ctx))
	check(response.Error == nil && bytes.Equal(must(io.ReadAll(response.Output)), noise(300000)), "files/read")
	_ = response.Close()
	var listed struct{ Entries []struct{ Name string } }
	do(t.api.Request("files/ls", "/go").Exec(t.ctx, &listed))
	check(len(listed.Entries) == 1 && listed.Entries[0].Name == "file", "files/ls: %+v", listed)
	do(t.api.Request("files/rm", "/go").Option("recursive", true).Exec(t.ctx, nil))
}

func run(area string, fn func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				err = e
			} else {
				err = fmt.Errorf("%v", r)
			}
		}
	}()
	fn()
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	other := must(peer.AddrInfoFromP2pAddr(must(ma.NewMultiaddr(os.Args[2]))))
	t := &test{ctx, must(rpc.NewURLApiWithClient(os.Args[1], http.DefaultClient)), *other}
	areas := []struct {
		name string
		run  func()
	}{{"unixfs", t.unixfs}, {"block", t.block}, {"dag", t.dag}, {"pin", t.pin}, {"key", t.key}, {"name", t.name},
		{"swarm", t.swarm}, {"files", t.files}, {"raw", t.raw}}
	failed := false
	for _, a := range areas {
		if len(os.Args) > 3 && !slices.Contains(os.Args[3:], a.name) {
			continue
		}
		if err := run(a.name, a.run); err != nil {
			failed = true
			text, _ := json.Marshal(err.Error())
			fmt.Printf("failed %s: %s\n", a.name, text)
			continue
		}
		fmt.Println("ok", a.name)
	}
	if failed || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		os.Exit(1)
	}
}
