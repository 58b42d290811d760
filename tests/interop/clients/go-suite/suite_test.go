// Runs the suite by which Kubo's makers test every implementation of their Go interface (core/coreiface/tests), over client/rpc and
// so over our RPC: suite -test.v. PROGRAM names the program whose nodes it starts, FOLDER where their repositories go.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs/boxo/path"
	"github.com/ipfs/kubo/client/rpc"
	iface "github.com/ipfs/kubo/core/coreiface"
	"github.com/ipfs/kubo/core/coreiface/tests"
	ma "github.com/multiformats/go-multiaddr"
)

const patience = 30 * time.Second

type node struct {
	repo string
	api  *rpc.HttpApi
}

func command(repo string, words ...string) *exec.Cmd {
	c := exec.Command(os.Getenv("PROGRAM"), words...)
	c.Env = append(os.Environ(), "IPFS_PATH="+repo, "DISTRIBUTE_PATH="+repo)
	// a suite that is killed takes its nodes with it
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

func run(repo string, words ...string) (string, error) {
	out, err := command(repo, words...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%v: %w: %s", words, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// The node's own file says where its RPC listens.
func waitForAPI(repo string) (ma.Multiaddr, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(repo, "api"))
		if addr, wrong := ma.NewMultiaddr(strings.TrimSpace(string(text))); err == nil && wrong == nil {
			return addr, nil
		}
	}
	return nil, fmt.Errorf("%s: no RPC after %v", repo, patience)
}

func start(t *testing.T, online bool) (*node, error) {
	repo, err := os.MkdirTemp(os.Getenv("FOLDER"), "node")
	if err != nil {
		return nil, err
	}
	for _, words := range [][]string{
		{"init", "--profile=test", "--empty-repo"},
		{"config", "--bool", "Routing.LoopbackAddressesOnLanDHT", "true"},
		{"config", "--bool", "Experimental.FilestoreEnabled", "true"},
		{"config", "Provide.Strategy", "roots"}, // so that what was only stored can be told from what was announced
	} {
		if _, err := run(repo, words...); err != nil {
			return nil, err
		}
	}
	daemon := command(repo, "daemon", "--enable-pubsub-experiment", "--offline="+strconv.FormatBool(!online))
	if err := daemon.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
	})
	addr, err := waitForAPI(repo)
	if err != nil {
		return nil, err
	}
	api, err := rpc.NewApi(addr)
	if err != nil {
		return nil, err
	}
	// Kubo's repositories are born with this pinned, and the suite wants none
	empty, err := path.NewPath("/ipfs/QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")
	if err != nil {
		return nil, err
	}
	return &node{repo, api}, api.Pin().Rm(context.Background(), empty)
}

type nodes struct{}

// All are connected to the first.
func (nodes) MakeAPISwarm(t *testing.T, ctx context.Context, _, online bool, n int) ([]iface.CoreAPI, error) {
	var first []string
	apis := make([]iface.CoreAPI, n)
	for i := range apis {
		made, err := start(t, online)
		if err != nil {
			return nil, err
		}
		if online && i == 0 {
			text, err := run(made.repo, "id", "-f", "<addrs>")
			if err != nil {
				return nil, err
			}
			first = strings.Fields(text)
		} else if online {
			if _, err := run(made.repo, "swarm", "connect", first[0]); err != nil {
				return nil, err
			}
		}
		apis[i] = made.api
	}
	return apis, nil
}

func TestInterface(t *testing.T) {
	tests.TestApi(nodes{})(t)
}
