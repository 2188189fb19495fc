// Command sdk-go talks to the gateway with the official Go clients of OpenAI and Anthropic. All a program
// has to change is the base URL.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	claude "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	base := "http://127.0.0.1:20128"
	if len(os.Args) > 1 {
		base = os.Args[1]
	}
	ctx := context.Background()
	if err := chat(ctx, base); err != nil {
		log.Fatalf("openai: %v", err)
	}
	if err := messages(ctx, base); err != nil {
		log.Fatalf("anthropic: %v", err)
	}
}

// chat asks once and then streams an answer through the client of OpenAI.
func chat(ctx context.Context, base string) error {
	client := openai.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey("any"))
	ask := openai.ChatCompletionNewParams{
		Model:    "demo/echo",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello from the OpenAI client")},
	}
	reply, err := client.Chat.Completions.New(ctx, ask)
	if err != nil {
		return err
	}
	fmt.Println("openai:   ", reply.Choices[0].Message.Content)

	stream := client.Chat.Completions.NewStreaming(ctx, ask)
	defer stream.Close()
	fmt.Print("streamed:  ")
	for stream.Next() {
		if choices := stream.Current().Choices; len(choices) > 0 {
			fmt.Print(choices[0].Delta.Content)
		}
	}
	fmt.Println()
	return stream.Err()
}

// messages does the same through the client of Anthropic.
func messages(ctx context.Context, base string) error {
	client := anthropic.NewClient(claude.WithBaseURL(base), claude.WithAPIKey("any"))
	ask := anthropic.MessageNewParams{
		Model: "demo/echo", MaxTokens: 256,
		Messages: []anthropic.MessageParam{
			anthropic.NewUserMessage(anthropic.NewTextBlock("Hello from the Anthropic client")),
		},
	}
	reply, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	fmt.Println("anthropic:", reply.Content[0].Text)

	stream := client.Messages.NewStreaming(ctx, ask)
	defer stream.Close()
	fmt.Print("streamed:  ")
	for stream.Next() {
		if delta, ok := stream.Current().AsAny().(anthropic.ContentBlockDeltaEvent); ok {
			fmt.Print(delta.Delta.Text)
		}
	}
	fmt.Println()
	return stream.Err()
}
